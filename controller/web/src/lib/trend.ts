// Figures over time, as far as this page has seen them: the controller keeps the latest only.

/** Points of one trend: at one every ten seconds that is an hour. */
const POINTS = 360

/** Trends that are remembered, so that leaving a host and coming back loses none. */
const TRENDS = 64

/** Figures further apart than this, in milliseconds, are not joined by a line: nobody looked in between. */
const APART = 120_000

/** What is seen of one host or container. Times are seconds since 1970; where a line is broken there is no figure. */
export class Trend {
  readonly times: number[] = []
  readonly cpu: (number | null)[] = []
  readonly memory: (number | null)[] = []
  #latest = -Infinity

  /** Adds what was sampled at `at` (milliseconds), once; false if that is known. */
  add(at: number, cpu: number | null, memory: number | null): boolean {
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
    for (const one of [this.times, this.cpu, this.memory]) if (one.length > POINTS) one.shift()
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

/** The least and the most of what was seen, if anything was. */
export function extremes(figures: readonly (number | null)[]): { least: number; most: number } | null {
  const seen = figures.filter((one) => one !== null)
  return seen.length > 0 ? { least: Math.min(...seen), most: Math.max(...seen) } : null
}
