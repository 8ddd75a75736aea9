// What the palette finds. Pure.
import type { Key } from '../i18n/i18n.svelte'
import type { Host } from '../live/model'
import { projects } from './fleet'
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

type Texts = (key: Key, values?: Record<string, string | number>) => string

/** The entries that fit `text` best, best first; without text, the fixed ones and the first hosts. */
export function find(
  text: string,
  fixed: readonly Entry[],
  hosts: ReadonlyMap<string, Host>,
  mayChange: boolean,
  t: Texts,
): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const verbs = mayChange ? VERBS.filter((verb) => words.some((word) => word.length >= ENOUGH && t(verb).toLowerCase().startsWith(word))) : []
  const found: { entry: Entry; rank: number }[] = []
  const offer = (entry: Entry) => {
    const rank = ranked(words, entry)
    if (rank !== null) found.push({ entry, rank })
  }
  for (const entry of fixed) offer(entry)
  for (const { instance, containers } of hosts.values()) {
    offer({ kind: 'host', text: instance.name, detail: instance.environment ?? '', href: paths.instance(instance.id) })
    // Without a word there would be too many of everything else.
    if (words.length === 0) continue
    const host = hosts.get(instance.id)
    for (const project of host ? projects(host) : []) {
      const query = new URLSearchParams({ q: project })
      offer({ kind: 'project', text: project, detail: instance.name, href: `${paths.instance(instance.id)}?${query}` })
      if (!mayChange) continue
      const sync = new URLSearchParams({ sync: project })
      const what = { kind: 'action' as const, text: t('syncProject', { project }), detail: instance.name }
      offer({ ...what, href: `${paths.instance(instance.id)}?${sync}` })
    }
    for (const one of containers.values()) {
      const query = new URLSearchParams({ container: one.full_id })
      offer({ kind: 'container', text: one.name, detail: instance.name, href: `${paths.instance(instance.id)}?${query}` })
      for (const verb of verbs) {
        const asked = new URLSearchParams({ container: one.full_id, act: verb })
        offer({ kind: 'action', text: `${t(verb)} ${one.name}`, detail: instance.name, href: `${paths.instance(instance.id)}?${asked}` })
      }
    }
  }
  return found
    .sort((one, other) => one.rank - other.rank)
    .slice(0, MOST)
    .map((one) => one.entry)
}

/** How well an entry fits: less is better; none if some word is nowhere in it. */
function ranked(words: readonly string[], entry: Entry): number | null {
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
