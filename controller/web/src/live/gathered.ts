// What the live stream has told and nobody has taken yet. Pure.
import type { LiveEvent } from '../api/types'

/** Names of the events that the model has a method for. */
export const KINDS = ['view', 'instance', 'containers', 'figures', 'removed', 'command', 'event'] as const satisfies
  LiveEvent['event'][]
export type Kind = (typeof KINDS)[number]

/** Those that only some pages follow: they are not even read for the others. */
export const ASIDE = ['progress', 'rollout'] as const satisfies LiveEvent['event'][]
export type Aside = (typeof ASIDE)[number]

/** One event: its name, and its text as it came. */
export type Told = readonly [Kind | Aside, string]

/** Most events of hosts that are kept: more than come between two moments of showing them, even when hundreds a second do. */
export const EVENTS = 1000

/** When more than this waits, whoever should take it is not there any more. */
const MOST = 50_000

/** Whose containers a text tells of, without reading all of it; none if it tells of something else. */
export function ofContainers(kind: Kind | Aside, text: string): string | null {
  if (kind !== 'containers' && kind !== 'figures') return null
  return /^\{"instance":"([a-z0-9-]+)"/.exec(text)?.[1] ?? null
}

export class Gathered {
  /** In the order in which they are to be taken. */
  #told = new Map<string, Told>()
  #count = 0
  /** Keys of the events of hosts, oldest first. */
  #events: string[] = []

  get size(): number {
    return this.#told.size
  }

  get overfull(): boolean {
    return this.#told.size > MOST
  }

  add(kind: Kind | Aside, text: string): void {
    let key = String((this.#count += 1))
    if (kind === 'instance') {
      // An instance is told whole: the latest stands for those before it, and in their place.
      const id = /^\{"id":"([a-z0-9-]+)"/.exec(text)?.[1]
      if (id) key = `instance ${id}`
    } else if (kind === 'removed') {
      const id = /"instance":"([a-z0-9-]+)"/.exec(text)?.[1]
      if (id) this.#told.delete(`instance ${id}`)
    } else if (kind === 'view') {
      // It replaces the picture: only what happened and what is followed beside it stands.
      for (const [each, [of]] of this.#told) if (of !== 'event' && of !== 'progress' && of !== 'rollout') this.#told.delete(each)
    } else if (kind === 'event') {
      this.#events.push(key)
      if (this.#events.length > EVENTS) this.#told.delete(this.#events.shift() ?? '')
    }
    this.#told.set(key, [kind, text])
  }

  take(): Told[] {
    const told = [...this.#told.values()]
    this.#told.clear()
    this.#events = []
    return told
  }
}
