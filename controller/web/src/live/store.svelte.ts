// The one live store of the UI: what `/api/live` tells, and when it last did. Pages read `live.hosts` and the like;
// reading them inside a component makes it follow.
import { read, url } from '../api/client'
import type { Command, Commands, Container, Event, Instance, Live } from '../api/types'
import { type Host, Model } from './model'
import { type Aside, type Kind, Stream } from './stream'

/** A page that follows what the model does not keep. */
export interface Follower {
  kind: Aside
  told(data: unknown): void
}

/** Changes are shown at most this often, in milliseconds. */
const SHOW_EVERY = 150

class LiveStore {
  #model = new Model()
  #version = $state(0)
  #pending: ReturnType<typeof setTimeout> | undefined
  #stream: Stream | null = null
  #offset = 0
  #toldAt = $state<number | null>(null)
  #followers = new Set<Follower>()

  /** Whether a whole view has come since the page was opened. */
  ready = $state(false)
  /** Whether changes come in now. */
  connected = $state(false)
  /** The controller's time now, in milliseconds; moves every second. */
  now = $state(Date.now())

  constructor() {
    setInterval(() => {
      this.now = Date.now() + this.#offset
      // While connected, silence means that nothing changed.
      if (this.connected) this.#toldAt = this.now
    }, 1000)
  }

  /** Follows the fleet; `ended` is asked when the stream ends, and says whether to go on. */
  open(ended: () => Promise<boolean>): void {
    this.close()
    this.#stream = new Stream('/api/live?containers=apart', {
      told: (kind, data) => this.#told(kind, data),
      aside: (kind, text) => this.#aside(kind, text),
      lost: () => {
        this.connected = false
        return ended()
      },
    })
  }

  close(): void {
    this.#stream?.close()
    this.#stream = null
    this.connected = false
  }

  /** Has `follower` told of what it follows, until the function that is returned is called. */
  follow(follower: Follower): () => void {
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  retry(): void {
    this.#stream?.retry()
  }

  /** Forgets everything: the next person must not see it. */
  clear(): void {
    this.close()
    this.#model = new Model()
    this.ready = false
    this.#version += 1
  }

  get hosts(): ReadonlyMap<string, Host> {
    void this.#version
    return this.#model.hosts
  }

  get commands(): Command[] {
    void this.#version
    return [...this.#model.commands.values()].sort((one, other) => (one.id < other.id ? 1 : -1))
  }

  get events(): readonly Event[] {
    void this.#version
    return this.#model.events
  }

  /** Goes up with every change that is shown. */
  get version(): number {
    return this.#version
  }

  host(id: string): Host | undefined {
    void this.#version
    return this.#model.hosts.get(id)
  }

  instance(id: string): Instance | undefined {
    return this.host(id)?.instance
  }

  container(instance: string, id: string): Container | undefined {
    return this.host(instance)?.containers.get(id)
  }

  command(id: string): Command | undefined {
    void this.#version
    return this.#model.commands.get(id)
  }

  /** A command that was accepted just now, before the stream tells of it. */
  accepted(command: Command): void {
    if (!this.#model.commands.has(command.id)) this.#model.command(command)
    this.#show()
  }

  /** The moment that the picture is from. */
  get pictureOf(): number | null {
    return this.#toldAt
  }

  #told(kind: Kind, data: unknown): void {
    if (kind === 'view') {
      const view = data as Live
      this.#offset = Date.parse(view.at) - Date.now()
      this.now = Date.now() + this.#offset
      this.#model.view(view)
      this.ready = true
      this.connected = true
      this.#toldAt = this.now
      this.#show()
      void this.#history()
      return
    }
    this.#model[kind](data as never)
    this.#pending ??= setTimeout(() => this.#show(), SHOW_EVERY)
  }

  #aside(kind: Aside, text: string): void {
    const followers = [...this.#followers].filter((one) => one.kind === kind)
    if (followers.length === 0) return
    const data: unknown = JSON.parse(text)
    for (const one of followers) one.told(data)
  }

  /** The latest commands that have ended: the stream only tells of those that end from now on. */
  async #history(): Promise<void> {
    try {
      const { commands } = await read<Commands>(url(['commands'], { limit: 200 }))
      for (const command of commands.reverse()) if (command.ended) this.#model.command(command)
      this.#show()
    } catch {
      // The pages that are about commands ask again, and say what went wrong.
    }
  }

  #show(): void {
    clearTimeout(this.#pending)
    this.#pending = undefined
    this.#version += 1
  }
}

export const live = new LiveStore()
