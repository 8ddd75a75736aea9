// What the instances page works out from the picture: rows, totals, filters, order, groups. Pure.
import type { Command, Instance } from '../api/types'
import type { Host } from '../live/model'

export const SHOWS = ['running', 'unhealthy', 'attention', 'containers'] as const
export type Show = (typeof SHOWS)[number]
export const SORTS = ['name', 'health', 'link', 'seen', 'cpu', 'memory', 'containers'] as const
export type Sort = (typeof SORTS)[number]
export type Group = 'environment' | 'tag'

export interface Row {
  host: Host
  /** Its place among all when they are ordered by name. */
  place: number
  instance: Instance
  /** Percent of the host's processors. */
  cpu: number | null
  /** Percent of the host's memory. */
  memory: number | null
  /** Unfinished commands, newest first. */
  running: Command[]
  /** Latest syncs and checks that found something out of date, or failed. */
  attention: Command[]
}

export interface Filter {
  text: string
  show: Show | null
  environment: string
  tag: string
}

export function rows(hosts: Iterable<Host>, commands: readonly Command[]): Row[] {
  const running = new Map<string, Command[]>()
  const latest = new Map<string, Map<string, Command>>()
  // Newest first, so that the first of each project is its latest.
  for (const command of commands) {
    if (!command.ended) push(running, command.instance, command)
    const project = projectOf(command)
    if (!command.ended || project === null) continue
    const ofHost = latest.get(command.instance) ?? new Map<string, Command>()
    if (!ofHost.has(project)) latest.set(command.instance, ofHost.set(project, command))
  }
  const all = [...hosts]
  const { places } = inOrder(all)
  return all.map((host) => {
    const one = host.instance
    const place = places.get(one.id) ?? 0
    const [now, due] = [running.get(one.id) ?? NONE, [...(latest.get(one.id)?.values() ?? NONE)].filter(needsAttention)]
    const known = made.get(one)
    if (known && known.host === host && known.place === place && same(known.running, now) && same(known.attention, due)) return known
    const cpu = share(one.load?.cpu_percent, one.engine?.cpus)
    const memory = share(one.load?.memory_mb, mebibytes(one.engine?.memory_bytes), 100)
    const row: Row = { host, place, instance: one, cpu, memory, running: now, attention: due }
    made.set(one, row)
    return row
  })
}

const NONE: Command[] = []

/** Rows as they were made last: of what has not changed, nothing has to be drawn again. */
const made = new WeakMap<Instance, Row>()

const same = <T>(one: readonly T[], other: readonly T[]): boolean =>
  one.length === other.length && one.every((each, at) => each === other[at])

/** As people count and read; made once, since making it costs more than comparing a hundred names. */
export const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' }).compare

interface Order {
  names: string[]
  places: Map<string, number>
  named: Named[]
}

export type Named = Pick<Instance, 'id' | 'name'>

/** Names as they were last put in order: to compare a thousand of them takes longer than all the rest of a page. */
let known: Order = { names: [], places: new Map(), named: [] }

function inOrder(hosts: readonly Host[]): Order {
  const same = hosts.length === known.names.length && hosts.every(({ instance }, at) => known.names[at] === instance.name && known.places.has(instance.id))
  if (!same) {
    const named = hosts.map(({ instance: { id, name } }) => ({ id, name })).sort((one, other) => byName(one.name, other.name))
    known = { names: hosts.map((host) => host.instance.name), places: new Map(named.map((one, at) => [one.id, at])), named }
  }
  return known
}

/** All hosts by name, to choose one from: the same list as before as long as none comes, goes or is renamed. */
export const byNames = (hosts: Iterable<Host>): readonly Named[] => inOrder([...hosts]).named

/** The project that a sync or check is about. */
export function projectOf(command: Command): string | null {
  return command.work.work === 'sync' || command.work.work === 'check' ? command.work.project : null
}

function needsAttention(command: Command): boolean {
  if (command.state === 'failed' || command.state === 'lost') return true
  const outcome = command.outcome
  return !!outcome && 'services' in outcome && !!outcome.services?.some((one) => one.result === 'outdated')
}

export interface Totals {
  instances: number
  containers: number
  running: number
  unhealthy: number
  attention: number
}

export function totals(all: readonly Row[]): Totals {
  const sum: Totals = { instances: all.length, containers: 0, running: 0, unhealthy: 0, attention: 0 }
  for (const row of all) {
    sum.containers += row.instance.containers.total
    sum.running += row.instance.containers.running
    if (isUnhealthy(row)) sum.unhealthy += 1
    if (row.attention.length > 0) sum.attention += 1
  }
  return sum
}

const isUnhealthy = (row: Row): boolean => row.instance.health === 'unhealthy' || row.instance.containers.unhealthy > 0

/** The rows that every part of `filter` lets through. The text is looked for in words: each must be somewhere. */
export function filtered(all: readonly Row[], filter: Filter): Row[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean)
  return all.filter((row) => {
    if (filter.show && !shows(row, filter.show)) return false
    if (filter.environment && row.instance.environment !== filter.environment) return false
    if (filter.tag && !row.instance.tags.includes(filter.tag)) return false
    const text = words.length > 0 ? haystack(row.instance) : ''
    return words.every((word) => text.includes(word))
  })
}

function shows(row: Row, show: Show): boolean {
  switch (show) {
    case 'running':
      return row.instance.containers.running > 0
    case 'containers':
      return row.instance.containers.total > 0
    case 'unhealthy':
      return isUnhealthy(row)
    case 'attention':
      return row.attention.length > 0
  }
}

/** What is looked through of each instance; one that changes is another object. */
const haystacks = new WeakMap<Instance, string>()

function haystack(one: Instance): string {
  const known = haystacks.get(one)
  if (known !== undefined) return known
  const parts = [one.name, one.id, one.url, one.environment, one.version, one.description, one.link.remote, one.link.state]
  const text = [...parts, ...one.tags].join('\n').toLowerCase()
  haystacks.set(one, text)
  return text
}

const HEALTH = { unhealthy: 0, unknown: 1, healthy: 2 }
const LINK = { lost: 0, late: 1, never: 2, live: 3 }

/** In the order of `by` (`-` in front: backwards); what is unknown comes last, equals by name. */
export function sorted(all: readonly Row[], by: string): Row[] {
  const direction = by.startsWith('-') ? -1 : 1
  const sort = by.replace(/^-/, '') as Sort
  if (sort === 'name') return [...all].sort((one, other) => (one.place - other.place) * direction)
  const key = keyOf(sort)
  // The key of each once, not of two at each comparison.
  const keyed = all.map((row) => ({ row, key: key(row) }))
  keyed.sort((one, other) => {
    if (one.key === null || other.key === null) {
      if (one.key !== other.key) return one.key === null ? 1 : -1
    } else if (one.key !== other.key) {
      return (one.key < other.key ? -1 : 1) * direction
    }
    return one.row.place - other.row.place
  })
  return keyed.map((one) => one.row)
}

function keyOf(sort: Sort): (row: Row) => number | string | null {
  switch (sort) {
    case 'health':
      return (row) => HEALTH[row.instance.health]
    case 'link':
      return (row) => LINK[row.instance.link.state]
    case 'seen':
      return (row) => row.instance.last_seen ?? null
    case 'cpu':
      return (row) => row.cpu
    case 'memory':
      return (row) => row.memory
    case 'containers':
      return (row) => row.instance.containers.total
    default:
      return () => 0
  }
}

export interface Grouped {
  name: string
  rows: Row[]
}

/** By environment or tag; a host with several tags stands under each. Those without come last, under `''`. */
export function grouped(all: readonly Row[], by: Group | null): Grouped[] {
  if (!by) return [{ name: '', rows: [...all] }]
  const groups = new Map<string, Row[]>()
  for (const row of all) {
    const names = by === 'tag' ? row.instance.tags : row.instance.environment ? [row.instance.environment] : []
    for (const name of names.length > 0 ? names : ['']) push(groups, name, row)
  }
  return Array.from(groups, ([name, rows]) => ({ name, rows })).sort((one, other) =>
    one.name === '' || other.name === '' ? (one.name === '' ? 1 : -1) : one.name.localeCompare(other.name),
  )
}

/** Every environment and tag there is, in order. */
export function labels(all: readonly Row[]): { environments: string[]; tags: string[] } {
  const environments = new Set(all.map((row) => row.instance.environment).filter((one) => typeof one === 'string'))
  const tags = new Set(all.flatMap((row) => row.instance.tags))
  return { environments: [...environments].sort(), tags: [...tags].sort() }
}

function share(used: number | null | undefined, whole: number | null | undefined, factor = 1): number | null {
  return used === null || used === undefined || !whole ? null : (used * factor) / whole
}

const mebibytes = (count: number | null | undefined): number | null => (count ? count / (1024 * 1024) : null)

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
