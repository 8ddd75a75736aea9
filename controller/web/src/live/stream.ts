// The connection to `/api/live`: opened again with growing pauses whenever it ends, closed while nobody looks.

import type { LiveEvent } from '../api/types'

/** Names of the events that the model has a method for. */
export const KINDS = ['view', 'instance', 'containers', 'figures', 'removed', 'command', 'event'] as const satisfies
  LiveEvent['event'][]
export type Kind = (typeof KINDS)[number]

/** Those that only some pages follow: they are not even read for the others. */
export const ASIDE = ['progress', 'rollout'] as const satisfies LiveEvent['event'][]
export type Aside = (typeof ASIDE)[number]

export interface Listener {
  told(kind: Kind, data: unknown): void
  /** Whether what is told of this instance's containers is worth reading. */
  follows(instance: string): boolean
  /** What only some pages follow, as text. */
  aside(kind: Aside, text: string): void
  /** The stream ended or could not be opened. Answers whether it is of any use to go on trying. */
  lost(): Promise<boolean>
}

const FIRST_PAUSE = 500
const LONGEST_PAUSE = 15_000

/** A browser has six connections to one address: pages that nobody looks at give theirs back after this time. */
const HIDDEN_FOR = 60_000

/** The pause before attempt `attempt` (from 0), in milliseconds; `random` lies in 0..1. */
export function pause(attempt: number, random: number): number {
  const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt)
  return longest / 2 + (longest / 2) * random
}

/** Whose containers a text tells of, without reading all of it; none if it tells of something else. */
export function ofContainers(kind: Kind, text: string): string | null {
  if (kind !== 'containers' && kind !== 'figures') return null
  return /^\{"instance":"([a-z0-9-]+)"/.exec(text)?.[1] ?? null
}

export class Stream {
  #source: EventSource | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #hiding: ReturnType<typeof setTimeout> | undefined
  #attempt = 0
  #stopped = false

  constructor(
    private readonly path: string,
    private readonly listener: Listener,
  ) {
    document.addEventListener('visibilitychange', this.#visibility)
    addEventListener('online', this.retry)
    this.#open()
  }

  close(): void {
    this.#stopped = true
    document.removeEventListener('visibilitychange', this.#visibility)
    removeEventListener('online', this.retry)
    clearTimeout(this.#hiding)
    this.#drop()
  }

  /** Tries at once instead of waiting for the pause to end. */
  readonly retry = (): void => {
    if (this.#stopped || this.#source) return
    this.#attempt = 0
    this.#open()
  }

  #open(): void {
    this.#drop()
    const source = new EventSource(this.path)
    this.#source = source
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        this.#attempt = 0
        const text = (event as MessageEvent<string>).data
        const instance = ofContainers(kind, text)
        if (instance === null || this.listener.follows(instance)) this.listener.told(kind, JSON.parse(text))
      })
    }
    for (const kind of ASIDE) {
      source.addEventListener(kind, (event) => this.listener.aside(kind, (event as MessageEvent<string>).data))
    }
    source.onerror = () => void this.#failed(source)
  }

  async #failed(source: EventSource): Promise<void> {
    if (source !== this.#source) return
    this.#drop()
    const goOn = await this.listener.lost()
    if (this.#stopped || this.#source || !goOn) return
    this.#timer = setTimeout(() => this.#open(), pause(this.#attempt, Math.random()))
    this.#attempt += 1
  }

  #drop(): void {
    clearTimeout(this.#timer)
    this.#source?.close()
    this.#source = null
  }

  readonly #visibility = (): void => {
    clearTimeout(this.#hiding)
    if (document.visibilityState === 'visible') this.retry()
    else this.#hiding = setTimeout(() => this.#drop(), HIDDEN_FOR)
  }
}
