// What the palette finds. Pure.
import type { ContainerRow } from '../api/types'
import type { Key } from '../i18n/i18n.svelte'
import type { Host } from '../live/model'
import { paths } from './paths'

export interface Entry {
  kind: 'page' | 'host' | 'container' | 'project' | 'action'
  text: string
  detail?: string
  href?: string
  act?: () => void
}

const MOST = 30

/** What can be done to a container from here, once somebody types at least so much of the word. */
const VERBS = ['start', 'stop', 'restart'] as const
const ENOUGH = 3
type Verb = (typeof VERBS)[number]

type Texts = (key: Key, values?: Record<string, string | number>) => string

/** The verbs that some word of `text` may mean, and what is left to look for containers by. */
export function meant(text: string, mayChange: boolean, t: Texts): { verbs: Verb[]; rest: string } {
  const words = wordsOf(text)
  const means = (word: string, verb: Verb) => word.length >= ENOUGH && t(verb).toLowerCase().startsWith(word)
  const verbs = mayChange ? VERBS.filter((verb) => words.some((word) => means(word, verb))) : []
  return { verbs, rest: words.filter((word) => !verbs.some((verb) => means(word, verb))).join(' ') }
}

/**
 * The entries that fit `text` best, best first; without text, the fixed ones and the first hosts. `containers` are
 * those that the controller found.
 */
export function find(
  text: string,
  fixed: readonly Entry[],
  hosts: Iterable<Host>,
  containers: readonly Pick<ContainerRow, 'instance' | 'instance_name' | 'full_id' | 'name'>[],
  mayChange: boolean,
  t: Texts,
): Entry[] {
  const words = wordsOf(text)
  const { verbs } = meant(text, mayChange, t)
  const found: { entry: Entry; rank: number }[] = []
  const offer = (entry: Omit<Entry, 'href'>, page: string | undefined, query?: Record<string, string>) => {
    const rank = ranked(words, entry)
    // The address only of what fits: there are thousands of hosts.
    if (rank !== null) found.push({ entry: { ...entry, href: query ? `${page}?${new URLSearchParams(query)}` : page }, rank })
  }
  for (const { href, ...entry } of fixed) offer(entry, href)
  for (const { instance } of hosts) {
    const [page, detail] = [paths.instance(instance.id), instance.name]
    offer({ kind: 'host', text: instance.name, detail: instance.environment ?? '' }, page)
    // Without a word there would be too many of everything else.
    if (words.length === 0) continue
    if (mayChange) offer({ kind: 'action', text: t('editHostName', { name: instance.name }), detail: instance.environment ?? '' }, page, { edit: 'host' })
    for (const project of instance.projects) {
      offer({ kind: 'project', text: project, detail }, page, { q: project })
      if (mayChange) offer({ kind: 'action', text: t('syncProject', { project }), detail }, page, { sync: project })
    }
  }
  for (const one of containers) {
    const [page, detail] = [paths.instance(one.instance), one.instance_name]
    offer({ kind: 'container', text: one.name, detail }, page, { container: one.full_id })
    for (const act of verbs) offer({ kind: 'action', text: `${t(act)} ${one.name}`, detail }, page, { container: one.full_id, act })
  }
  return found
    .sort((one, other) => one.rank - other.rank)
    .slice(0, MOST)
    .map((one) => one.entry)
}

const wordsOf = (text: string): string[] => text.toLowerCase().split(/\s+/).filter(Boolean)

/** How well an entry fits: less is better; none if some word is nowhere in it. */
function ranked(words: readonly string[], entry: Pick<Entry, 'text' | 'detail'>): number | null {
  const text = entry.text.toLowerCase()
  const detail = entry.detail?.toLowerCase() ?? ''
  let rank = 0
  for (const word of words) {
    const at = text.indexOf(word)
    if (at === 0) rank += text.length === word.length ? 0 : 1
    else if (at > 0) rank += /[\s\-_./]/.test(text[at - 1] ?? '') ? 2 : 4
    else if (detail.includes(word)) rank += 6
    else return null
  }
  return rank
}
