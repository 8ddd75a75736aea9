// The one live store of the UI: what `/api/live` tells, and when it last did. Pages read `live.hosts` and the like;
// reading them inside a component makes it follow.
import { flushSync } from 'svelte'
import { read, url } from '../api/client'
import type { Command, Commands, Containers, ContainersPage, Event, Instance, Live } from '../api/types'
import { forgetTrends } from '../lib/trend'
import { type Host, Model } from './model'
import { prepare } from './feeds'
import { type Aside, ASIDE, type Kind, type Told } from './gathered'
import { Stream } from './stream'

/** A page that follows what the model does not keep. */
export interface Follower {
  kind: Aside
  told(data: unknown): void
}

/** Showing changes may take at most one part in so many of the time: the rest is the reader's. */
const PART = 6

/** No more often than the screen, no less often than this, in milliseconds. */
const SOONEST = 16
const LATEST = 250

/** What a person has just done goes first: changes wait until so long after it, in milliseconds, … */
const AFTER_INPUT = 150

/** … but no longer than this in all. */
const WAITED = 600

/** How often the containers of a host that is looked at are asked for again: it keeps their figures fresh. */
const LIST_EVERY = 20_000

/** Names of containers that are remembered. */
const NAMES = 1000

const isAside = (kind: Kind | Aside): kind is Aside => ASIDE.includes(kind as Aside)

class LiveStore {
  #model = new Model()
  #version = $state(0)
  #pending: ReturnType<typeof setTimeout> | undefined
  /** Told, and not taken in yet. */
  #waiting: Told[] = []
  #granting: ReturnType<typeof setTimeout> | undefined
  #shownAt = 0
  #pause = SOONEST
  /** When changes began to wait to be shown, and when a person last did something. */
  #waitsSince = 0
  #inputAt = -Infinity
  /** The version of the controller that this page came from. */
  #loaded: string | null = null
  #names = new Map<string, string>()
  #stream: Stream | null = null
  #offset = 0
  #toldAt = $state<number | null>(null)
  #followers = new Set<Follower>()
  /** What asks for the lists that are looked at. */
  #lists = new Set<() => Promise<void>>()

  /** Whether a whole view has come since the page was opened. */
  ready = $state(false)
  /** Whether changes come in now. */
  connected = $state(false)
  /** The controller's version, where it is another than when the page was opened. */
  upgraded = $state<string | null>(null)
  /** The controller's time now, in milliseconds; moves every second. */
  now = $state(Date.now())

  constructor() {
    prepare()
    for (const kind of ['keydown', 'input', 'pointerdown', 'wheel', 'touchmove']) {
      addEventListener(kind, () => (this.#inputAt = performance.now()), { capture: true, passive: true })
    }
    setInterval(() => {
      this.now = Date.now() + this.#offset
      // While connected, silence means that nothing changed.
      if (this.connected) this.#toldAt = this.now
    }, 1000)
  }

  /** Follows the fleet; `ended` is asked when the stream ends, and says whether to go on. */
  open(ended: () => Promise<boolean>): void {
    this.close()
    this.#stream = new Stream('/api/live?containers=changes', {
      told: (told) => this.#arrived(told),
      lost: () => {
        this.connected = false
        return ended()
      },
    })
  }

  close(): void {
    this.#stream?.close()
    this.#stream = null
    this.#waiting = []
    clearTimeout(this.#granting)
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
    this.#names.clear()
    forgetTrends()
    this.ready = false
    this.#version += 1
  }

  get hosts(): ReadonlyMap<string, Host> {
    void this.#version
    return this.#model.hosts
  }

  /** Newest first. */
  get commands(): readonly Command[] {
    void this.#version
    return this.#model.ordered
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

  /** Has the containers of a host listed and followed, until the function that is returned is called. */
  look(id: string): () => void {
    const model = this.#model
    const end = model.look(id)
    const watch = () => this.#stream?.watch(model.looked)
    const list = async () => {
      if (document.visibilityState === 'hidden') return
      // From here on the stream tells of them: nothing can happen between it and the list.
      await watch()
      model.asked(id)
      try {
        model.list(await read<Containers>(url(['instances', id, 'containers'])))
        this.#soon()
      } catch {
        // What the stream tells of the host says why; the list is asked for again.
      }
    }
    void list()
    const timer = setInterval(() => void list(), LIST_EVERY)
    this.#lists.add(list)
    return () => {
      clearInterval(timer)
      this.#lists.delete(list)
      end()
      void watch()
    }
  }

  /** The name of a container, once it is known; until then its id. */
  containerName(instance: string, id: string): string {
    const known = this.host(instance)?.containers.get(id)?.name ?? this.#names.get(id)
    if (known === undefined && this.hosts.has(instance)) void this.#name(instance, id)
    return known ?? id
  }

  async #name(instance: string, id: string): Promise<void> {
    if (this.#names.size >= NAMES) this.#names.clear()
    // What was asked for, and is not known, is not asked for again.
    this.#names.set(id, id)
    try {
      const { containers } = await read<ContainersPage>(url(['containers'], { instance, q: id, limit: 1 }))
      const name = containers[0]?.name
      if (!name) return
      this.#names.set(id, name)
      this.#soon()
    } catch {
      // The id stands.
    }
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

  #arrived(told: Told[]): void {
    this.#waiting = this.#waiting.length > 0 ? [...this.#waiting, ...told] : told
    // The whole picture is what everybody waits for.
    if (told.some(([kind]) => kind === 'view')) this.#show()
    else this.#soon()
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
      this.#loaded ??= view.version
      this.upgraded = view.version === this.#loaded ? null : view.version
      void this.#history()
      for (const list of this.#lists) void list()
      return
    }
    this.#model[kind](data as never)
  }

  /** Shows what has changed: at once after a quiet time, and less often the longer it takes. */
  #soon(): void {
    if (this.#pending !== undefined) return
    this.#waitsSince = performance.now()
    this.#wait(this.#shownAt + this.#pause - this.#waitsSince)
  }

  #wait(pause: number): void {
    this.#pending = setTimeout(() => {
      const rest = Math.min(this.#inputAt + AFTER_INPUT, this.#waitsSince + WAITED) - performance.now()
      if (rest > 0) this.#wait(rest)
      else this.#show()
    }, Math.max(0, pause))
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
    const began = performance.now()
    const told = this.#waiting
    this.#waiting = []
    for (const [kind, text] of told) {
      try {
        if (isAside(kind)) this.#aside(kind, text)
        else this.#told(kind, JSON.parse(text))
      } catch (error) {
        // One that cannot be taken in must not take the others with it.
        reportError(error)
      }
    }
    this.#version += 1
    try {
      flushSync()
    } catch (error) {
      reportError(error)
    }
    this.#shownAt = performance.now()
    this.#pause = Math.min(LATEST, Math.max(SOONEST, (this.#shownAt - began) * PART))
    if (told.length > 0) this.#granting = setTimeout(() => this.#stream?.grant(), this.#pause)
  }
}

export const live = new LiveStore()
