// Follows the log of one command: what is stored first, then what comes, across lost connections and reloads.
import type { Command, LogLine } from '../api/types'
import { read, url } from '../api/client'
import { Story } from '../lib/progress'
import { pause } from './stream'

const SHOW_EVERY = 100

export class LogFollower {
  readonly story = new Story()
  command = $state.raw<Command | null>(null)
  version = $state(0)
  connected = $state(false)
  problem = $state<string | null>(null)

  #source: EventSource | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #pending: ReturnType<typeof setTimeout> | undefined
  #attempt = 0
  #closed = false

  constructor(private readonly id: string) {
    void this.#start()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#pending)
    this.#source?.close()
  }

  async #start(): Promise<void> {
    try {
      // Through the client, so that an ended session is asked for before the stream is opened.
      this.command = await read<Command>(url(['commands', this.id]))
      this.problem = null
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error)
      if (error && typeof error === 'object' && 'status' in error && error.status === 404) return
      return this.#again()
    }
    if (!this.#closed) this.#open()
  }

  #open(): void {
    const source = new EventSource(url(['commands', this.id, 'log'], { from: this.story.next }))
    this.#source = source
    source.onopen = () => (this.connected = true)
    source.addEventListener('line', (event) => {
      this.#attempt = 0
      this.story.add(JSON.parse((event as MessageEvent<string>).data) as LogLine)
      this.#pending ??= setTimeout(() => this.#show(), SHOW_EVERY)
    })
    source.addEventListener('end', (event) => {
      this.command = JSON.parse((event as MessageEvent<string>).data) as Command
      source.close()
      this.connected = false
      this.#show()
    })
    source.onerror = () => {
      source.close()
      this.connected = false
      this.#again()
    }
  }

  #again(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#start(), pause(this.#attempt, Math.random()))
    this.#attempt += 1
  }

  #show(): void {
    clearTimeout(this.#pending)
    this.#pending = undefined
    this.version += 1
  }
}
