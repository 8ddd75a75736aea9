import { describe, expect, it } from 'vitest'
import { extremes, forgetTrends, Trend, trendOf } from './trend'

const NOW = Date.parse('2026-12-01T12:00:00Z')

/** Figures sampled so many seconds after noon. */
const figures = (seconds: number, cpu: number | null, memory: number | null = 5) => ({ at: new Date(NOW + seconds * 1000).toISOString(), cpu, memory })

/** The times of a trend, in seconds after noon. */
const times = (trend: Trend) => trend.times.map((time) => time - NOW / 1000)

describe('a trend', () => {
  it('takes each sample once, and none that is older', () => {
    const trend = new Trend()
    const tell = (seconds: number, cpu: number) => trend.tell(figures(seconds, cpu), NOW + seconds * 1000)
    expect([tell(10, 1), tell(10, 2), tell(9, 3), tell(15, 4)]).toEqual([true, false, false, true])
    expect([times(trend), trend.cpu, trend.memory]).toEqual([[10, 15], [1, 4], [5, 5]])
    expect(trend.tell({ at: 'never', cpu: 1, memory: 1 }, NOW + 20_000)).toBe(true)
  })

  it('begins with what is fresh: what a host told before anybody looked is not of now', () => {
    const trend = new Trend()
    expect(trend.tell(figures(-80_000, 9), NOW)).toBe(false)
    expect(trend.tell(figures(1, 2), NOW + 2000)).toBe(true)
    expect(times(trend)).toEqual([1])
  })

  it('goes on where the oldest figure of a host, or its clock, stands still', () => {
    const trend = new Trend()
    trend.tell(figures(-500, 1), NOW)
    expect(trend.tell(figures(-500, 2), NOW + 5000)).toBe(true)
    expect(trend.tell(figures(-500, 2), NOW + 10_000)).toBe(false)
    expect(trend.tell(figures(-500, 2, 6), NOW + 15_000)).toBe(true)
    expect([times(trend), trend.cpu]).toEqual([[5, 15], [2, 2]])
  })

  it('breaks the line where nobody looked', () => {
    const trend = new Trend()
    for (const [seconds, cpu, memory] of [[10, 1, 5], [130, 2, null], [251, 3, 7]] as const) trend.tell(figures(seconds, cpu, memory), NOW + seconds * 1000)
    expect(times(trend)).toEqual([10, 130, 131, 251])
    expect([trend.cpu, trend.memory]).toEqual([[1, 2, null, 3], [5, null, null, 7]])
  })

  it('reaches back an hour, and their number is bounded', () => {
    const trend = trendOf('first')
    for (let seconds = 5; seconds <= 5000; seconds += 5) trend.tell(figures(seconds, seconds), NOW + seconds * 1000)
    expect([trend.times.length, times(trend)[0], trend.cpu.length, trend.memory.length]).toEqual([720, 1405, 720, 720])
    for (let other = 0; other < 63; other += 1) trendOf(`other ${other}`)
    expect(trendOf('first')).toBe(trend)
    for (let other = 0; other < 64; other += 1) trendOf(`another ${other}`)
    expect(trendOf('first')).not.toBe(trend)
    const again = trendOf('first')
    forgetTrends()
    expect(trendOf('first')).not.toBe(again)
  })

  it('says what the least and the most were', () => {
    expect(extremes([3, null, 1, 2])).toEqual({ least: 1, most: 3 })
    expect(extremes([null])).toBeNull()
  })
})
