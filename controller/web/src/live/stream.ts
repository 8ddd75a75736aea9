// The connection to `/api/live`: opened again with growing pauses whenever it ends, closed while nobody looks.

import { type Connection, connect } from './feeds'
import type { Told } from './gathered'

export interface Listener {
  /** Told so much since the last time that it was granted. */
  told(told: Told[]): void
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

export class Stream {
  #source: Connection | null = null
  #watched: readonly string[] = []
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

  /** Asks for what is told next: it is given once. */
  grant(): void {
    this.#source?.grant()
  }

  /** From when this resolves, the containers of these instances are told of. */
  async watch(instances: readonly string[]): Promise<void> {
    this.#watched = instances
    await this.#source?.watch(instances)
  }

  #open(): void {
    this.#drop()
    const source = connect(
      this.path,
      this.#watched,
      (told) => {
        this.#attempt = 0
        this.listener.told(told)
      },
      (told) => {
        if (told.length > 0) this.listener.told(told)
        void this.#failed(source)
      },
    )
    this.#source = source
  }

  async #failed(source: Connection): Promise<void> {
    if (source !== this.#source) return
    this.#source = null
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
