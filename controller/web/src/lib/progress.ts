// What the lines of a command's log add up to: the plan, each service's steps and layers, and the raw log. Pure.
import type { LogLine, Progress } from '../api/types'

type Of<K extends Progress['progress']> = Extract<Progress, { progress: K }>

export interface Layer {
  id: string
  status: string
  done: number
  total: number | null
  /** Whether nothing more happens to it. */
  complete: boolean
}

export interface Step {
  step: Of<'step'>['step']
  state: Of<'step'>['state']
  detail: string
  startedAt: string | null
  endedAt: string | null
}

export interface Service {
  name: string
  image: string
  current: string | null
  steps: Step[]
  layers: Map<string, Layer>
}

export interface RawLine {
  line: number
  at: string
  stream: string
  service: string | null
  text: string
}

/** Most raw lines that are kept: the page must not eat the browser. */
export const MOST_LINES = 5000

export class Story {
  plan: { strategy: string | null; why: string } | null = null
  readonly services = new Map<string, Service>()
  raw: RawLine[] = []
  /** Raw lines no longer kept here, and lines the agent dropped. */
  forgotten = 0
  dropped = 0
  next = 0

  add(line: LogLine): void {
    if (line.line < this.next) return
    this.next = line.line + 1
    const entry = line.entry
    switch (entry.progress) {
      case 'plan':
        this.plan = { strategy: entry.strategy ?? null, why: entry.why ?? '' }
        for (const one of entry.services ?? []) {
          const service = this.#service(one.service)
          service.image = one.image
          service.current = one.current ?? null
        }
        break
      case 'step':
        this.#step(entry, line.at)
        this.#say(line, 'step', entry.service, `${entry.step} ${entry.state}${entry.detail ? `: ${entry.detail}` : ''}`)
        break
      case 'layer':
        this.#layer(entry)
        break
      case 'log':
        this.#say(line, entry.stream, entry.service, entry.text)
        break
      case 'dropped':
        this.dropped += entry.count
        break
    }
  }

  #step(entry: Of<'step'>, at: string): void {
    const service = this.#service(entry.service ?? '')
    let step = service.steps.find((one) => one.step === entry.step && one.endedAt === null)
    if (!step) {
      step = { step: entry.step, state: entry.state, detail: '', startedAt: null, endedAt: null }
      service.steps.push(step)
    }
    step.state = entry.state
    step.detail = entry.detail || step.detail
    if (entry.state === 'started') step.startedAt ??= at
    else step.endedAt = at
  }

  #layer(entry: Of<'layer'>): void {
    const service = this.#service(entry.service ?? entry.image)
    service.image ||= entry.image
    const complete = /complete|already exists/i.test(entry.status)
    const before = service.layers.get(entry.layer)
    const total = entry.total_bytes ?? null
    const done = entry.done_bytes ?? 0
    service.layers.set(entry.layer, {
      id: entry.layer,
      status: entry.status,
      // Words without figures ("Download complete") keep those known before.
      done: complete && !total ? (before?.total ?? done) : done,
      total: total ?? before?.total ?? null,
      complete: /pull complete|already exists/i.test(entry.status),
    })
  }

  #say(line: LogLine, stream: string, service: string | null | undefined, text: string): void {
    this.raw.push({ line: line.line, at: line.at, stream, service: service ?? null, text })
    if (this.raw.length > MOST_LINES) {
      const over = this.raw.length - MOST_LINES + 500
      this.raw = this.raw.slice(over)
      this.forgotten += over
    }
  }

  #service(name: string): Service {
    let service = this.services.get(name)
    if (!service) {
      service = { name, image: '', current: null, steps: [], layers: new Map() }
      this.services.set(name, service)
    }
    return service
  }
}

export interface Bytes {
  done: number
  total: number
  layers: number
  complete: number
}

/** The bytes of a service's layers, as far as the engine told their sizes. */
export function pulled(service: Service): Bytes {
  const sum: Bytes = { done: 0, total: 0, layers: service.layers.size, complete: 0 }
  for (const layer of service.layers.values()) {
    if (layer.complete) sum.complete += 1
    if (layer.total === null) continue
    sum.total += layer.total
    sum.done += layer.complete || /extract|verify|download complete/i.test(layer.status) ? layer.total : layer.done
  }
  return sum
}

/** Seconds until everything is pulled, at the speed so far; none if that cannot be told yet. */
export function remaining(bytes: Bytes, seconds: number): number | null {
  if (bytes.done === 0 || bytes.done >= bytes.total || seconds < 2) return null
  return ((bytes.total - bytes.done) * seconds) / bytes.done
}
