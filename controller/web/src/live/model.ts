// The picture of the fleet as the live stream tells it: whole first, then changes. Plain maps, changed in place; the
// store (store.svelte.ts) tells the pages when something is new. Of containers only those of hosts that a page looks at
// are kept: a fleet has tens of thousands.
import type {
  Command,
  Container,
  Containers,
  ContainersChange,
  Event,
  FiguresChange,
  Instance,
  Live,
} from '../api/types'
import { EVENTS } from './gathered'

export interface Host {
  instance: Instance
  /** By their whole ids; none while no page looks at them. */
  containers: Map<string, Container>
  /** Whether `containers` is all of them. */
  listed: boolean
}

/** Most ended commands that are kept for pages that show the latest. */
const KEPT = 200

export class Model {
  readonly hosts = new Map<string, Host>()
  readonly commands = new Map<string, Command>()
  /** Oldest first. */
  #events: Event[] = []
  /** What of both is shown, in its order, until something comes. */
  #newest: Event[] | null = null
  #ordered: Command[] | null = null

  /** Hosts that pages look at: how many do, and which containers were told of since the list was asked for. */
  #looked = new Map<string, { pages: number; since: Set<string> }>()

  view(view: Live): void {
    const before = new Map(this.hosts)
    this.hosts.clear()
    for (const instance of view.instances) {
      // Where its containers are looked at, they are asked for anew; until then the last known ones stand.
      const host = before.get(instance.id) ?? { instance, containers: new Map(), listed: false }
      host.instance = instance
      this.hosts.set(instance.id, host)
    }
    // What ended while nobody listened is no longer among the unfinished: it must not go on running here.
    for (const [id, one] of this.commands) if (!one.ended) this.commands.delete(id)
    for (const command of view.commands) this.commands.set(command.id, command)
    this.#ordered = null
  }

  /** A page looks at a host's containers, until the function that is returned is called. */
  look(id: string): () => void {
    const looked = this.#looked.get(id) ?? { pages: 0, since: new Set() }
    looked.pages += 1
    this.#looked.set(id, looked)
    return () => {
      looked.pages -= 1
      if (looked.pages > 0) return
      this.#looked.delete(id)
      const host = this.hosts.get(id)
      if (host) Object.assign(host, { containers: new Map(), listed: false })
    }
  }

  /** The hosts that pages look at. */
  get looked(): string[] {
    return [...this.#looked.keys()]
  }

  /** The list of a host's containers is asked for: what is told from here on is newer than the answer may be. */
  asked(id: string): void {
    this.#looked.get(id)?.since.clear()
  }

  /** The answer to that. */
  list({ instance, containers }: Containers): void {
    const [host, looked] = [this.hosts.get(instance), this.#looked.get(instance)]
    if (!host || !looked) return
    const told = new Map(containers.map((one) => [one.full_id, one]))
    for (const id of looked.since) {
      const newer = host.containers.get(id)
      if (newer) told.set(id, newer)
      else told.delete(id)
    }
    host.containers = told
    host.listed = true
  }

  instance(instance: Instance): void {
    const host = this.hosts.get(instance.id)
    if (host) host.instance = instance
    else this.hosts.set(instance.id, { instance, containers: new Map(), listed: false })
  }

  containers(change: ContainersChange): void {
    const [host, looked] = [this.hosts.get(change.instance), this.#looked.get(change.instance)]
    if (!host || !looked) return
    if (change.whole) {
      for (const id of host.containers.keys()) looked.since.add(id)
      host.containers.clear()
      host.listed = true
    }
    for (const container of change.upsert) {
      host.containers.set(container.full_id, container)
      looked.since.add(container.full_id)
    }
    for (const id of change.remove) {
      host.containers.delete(id)
      looked.since.add(id)
    }
  }

  figures(change: FiguresChange): void {
    const host = this.hosts.get(change.instance)
    const since = this.#looked.get(change.instance)?.since
    if (!host || !since) return
    for (const { full_id, at, age_seconds, ...figures } of change.samples) {
      const container = host.containers.get(full_id)
      if (!container) continue
      host.containers.set(full_id, { ...container, ...figures, figures: { at, age_seconds } })
      since.add(full_id)
    }
  }

  /** The latest events, newest first. */
  get events(): readonly Event[] {
    this.#newest ??= this.#events.slice(-EVENTS).reverse()
    return this.#newest
  }

  /** Commands, newest first. */
  get ordered(): readonly Command[] {
    this.#ordered ??= [...this.commands.values()].sort((one, other) => (one.id < other.id ? 1 : -1))
    return this.#ordered
  }

  removed({ instance }: { instance: string }): void {
    this.hosts.delete(instance)
  }

  command(command: Command): void {
    this.#ordered = null
    this.commands.delete(command.id)
    this.commands.set(command.id, command)
    if (this.commands.size <= KEPT) return
    for (const [id, one] of this.commands) {
      if (this.commands.size <= KEPT) break
      if (one.ended) this.commands.delete(id)
    }
  }

  event(event: Event): void {
    const last = this.#events.at(-1)
    if (last && event.id <= last.id && this.#events.some((one) => one.id === event.id)) return
    this.#events.push(event)
    // Now and then, since there may be hundreds a second.
    if (this.#events.length >= 2 * EVENTS) this.#events = this.#events.slice(-EVENTS)
    this.#newest = null
  }
}
