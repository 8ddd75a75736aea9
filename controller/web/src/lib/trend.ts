// Figures over time, as far as this page has seen them: the controller keeps the latest only.

/** How far a trend reaches back, in seconds. */
export const REACH = 3600

/** Trends that are remembered, so that leaving a host and coming back loses none. */
const TRENDS = 64

/** Figures further apart than this, in milliseconds, are not joined by a line: nobody looked in between. */
const APART = 120_000

/** Figures of so long ago, in milliseconds, are of now; older ones are of a host that nobody looked at. */
const FRESH = 60_000

/** Figures as they are told: when they were sampled, CPU, memory. */
export interface Figures {
  at: string
  cpu: number | null
  memory: number | null
}

/** What is seen of one host or container. Times are seconds since 1970; where a line is broken there is no figure. */
export class Trend {
  readonly times: number[] = []
  readonly cpu: (number | null)[] = []
  readonly memory: (number | null)[] = []
  #latest = -Infinity
  #told: Figures | null = null

  /**
   * Takes figures that were told, at `now` in milliseconds; false if they bring no point. A host's are as old as the oldest
   * of its containers': where they change although they are old, the change is of now. So is one of a wrong clock.
   */
  tell(figures: Figures, now: number): boolean {
    const before = this.#told
    this.#told = figures
    const sampled = Date.parse(figures.at)
    if (Math.abs(now - sampled) < FRESH) return this.#add(sampled, figures)
    const changed = before !== null && (before.at !== figures.at || before.cpu !== figures.cpu || before.memory !== figures.memory)
    return changed && this.#add(now, figures)
  }

  #add(at: number, { cpu, memory }: Figures): boolean {
    if (!(at > this.#latest)) return false
    if (at - this.#latest > APART && this.times.length > 0) this.#push(this.#latest / 1000 + 1, null, null)
    this.#latest = at
    this.#push(at / 1000, cpu, memory)
    return true
  }

  #push(time: number, cpu: number | null, memory: number | null): void {
    this.times.push(time)
    this.cpu.push(cpu)
    this.memory.push(memory)
    const old = this.times.findIndex((one) => one > time - REACH)
    for (const one of [this.times, this.cpu, this.memory]) one.splice(0, old)
  }
}

const trends = new Map<string, Trend>()

/** The trend of what has this name. */
export function trendOf(name: string): Trend {
  const trend = trends.get(name) ?? new Trend()
  // The one that was looked at last is forgotten last.
  trends.delete(name)
  trends.set(name, trend)
  for (const oldest of trends.keys()) {
    if (trends.size <= TRENDS) break
    trends.delete(oldest)
  }
  return trend
}

/** Forgets all of them: the next person must not see what this one saw. */
export const forgetTrends = (): void => trends.clear()

/** The least and the most of what was seen, if anything was. */
export function extremes(figures: readonly (number | null)[]): { least: number; most: number } | null {
  const seen = figures.filter((one) => one !== null)
  return seen.length > 0 ? { least: Math.min(...seen), most: Math.max(...seen) } : null
}
