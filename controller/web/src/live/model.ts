// The picture of the fleet as the live stream tells it: whole first, then changes. Plain maps, changed in place, so
// that 50,000 containers cost nothing to watch; the store (store.svelte.ts) tells the pages when something is new.
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

/** What the figures of a host's containers add up to. */
export interface Load {
  /** Percent of one core; none before the first sample. */
  cpuPercent: number | null
  /** MiB; none before the first sample. */
  memoryMb: number | null
  unhealthy: number
  /** Age of the oldest sample that counts, as a time. */
  at: string | null
}

export interface Host {
  instance: Instance
  containers: Map<string, Container>
  load: Load
}

/** Most events and ended commands that are kept for pages that show the latest. */
const KEPT = 200

export class Model {
  readonly hosts = new Map<string, Host>()
  readonly commands = new Map<string, Command>()
  /** Newest first. */
  events: Event[] = []

  view(view: Live): void {
    const told = new Map(view.containers.map((one) => [one.instance, byId(one.containers)]))
    const before = new Map(this.hosts)
    this.hosts.clear()
    for (const instance of view.instances) {
      // Those that come by themselves after the view: until then the last known ones stand.
      const containers = told.get(instance.id) ?? before.get(instance.id)?.containers ?? new Map()
      this.hosts.set(instance.id, { instance, containers, load: load(containers) })
    }
    // What ended while nobody listened is no longer among the unfinished: it must not go on running here.
    for (const [id, one] of this.commands) if (!one.ended) this.commands.delete(id)
    for (const command of view.commands) this.commands.set(command.id, command)
  }

  instance(instance: Instance): void {
    const host = this.hosts.get(instance.id)
    if (host) host.instance = instance
    else this.hosts.set(instance.id, { instance, containers: new Map(), load: load(new Map()) })
  }

  containers(change: ContainersChange): void {
    const host = this.hosts.get(change.instance)
    if (!host) return
    if (change.whole) host.containers.clear()
    for (const container of change.upsert) host.containers.set(container.full_id, container)
    for (const id of change.remove) host.containers.delete(id)
    host.load = load(host.containers)
  }

  figures(change: FiguresChange): void {
    const host = this.hosts.get(change.instance)
    if (!host) return
    for (const { full_id, at, age_seconds, ...figures } of change.samples) {
      const container = host.containers.get(full_id)
      if (container) host.containers.set(full_id, { ...container, ...figures, figures: { at, age_seconds } })
    }
    host.load = load(host.containers)
  }

  removed({ instance }: { instance: string }): void {
    this.hosts.delete(instance)
  }

  command(command: Command): void {
    this.commands.delete(command.id)
    this.commands.set(command.id, command)
    if (this.commands.size <= KEPT) return
    for (const [id, one] of this.commands) {
      if (this.commands.size <= KEPT) break
      if (one.ended) this.commands.delete(id)
    }
  }

  event(event: Event): void {
    if (this.events[0] && event.id <= this.events[0].id && this.events.some((one) => one.id === event.id)) return
    this.events = [event, ...this.events].slice(0, KEPT)
  }
}

function byId(containers: Containers['containers']): Map<string, Container> {
  return new Map(containers.map((container) => [container.full_id, container]))
}

function load(containers: ReadonlyMap<string, Container>): Load {
  const sum: Load = { cpuPercent: null, memoryMb: null, unhealthy: 0, at: null }
  for (const container of containers.values()) {
    if (container.health === 'unhealthy') sum.unhealthy += 1
    if (typeof container.cpu_percent === 'number') sum.cpuPercent = (sum.cpuPercent ?? 0) + container.cpu_percent
    if (typeof container.memory_mb === 'number') sum.memoryMb = (sum.memoryMb ?? 0) + container.memory_mb
    const at = container.figures?.at
    if (at && (sum.at === null || at < sum.at)) sum.at = at
  }
  return sum
}
