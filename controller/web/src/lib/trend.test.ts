import { describe, expect, it } from 'vitest'
import { extremes, Trend, trendOf } from './trend'

describe('a trend', () => {
  it('takes each sample once, and none that is older', () => {
    const trend = new Trend()
    expect([trend.add(10_000, 1, 5), trend.add(10_000, 2, 5), trend.add(9000, 3, 5), trend.add(Number.NaN, 4, 5)]).toEqual([true, false, false, false])
    expect(trend.times).toEqual([10])
    expect([trend.cpu, trend.memory]).toEqual([[1], [5]])
  })

  it('breaks the line where nobody looked', () => {
    const trend = new Trend()
    trend.add(10_000, 1, 5)
    trend.add(130_000, 2, null)
    trend.add(250_001, 3, 7)
    expect(trend.times).toEqual([10, 130, 131, 250.001])
    expect(trend.cpu).toEqual([1, 2, null, 3])
    expect(trend.memory).toEqual([5, null, null, 7])
  })

  it('is bounded, and so is their number', () => {
    const trend = trendOf('first')
    for (let at = 1; at <= 1000; at += 1) trend.add(at * 1000, at, at)
    expect([trend.times.length, trend.times[0], trend.cpu.length, trend.memory.length]).toEqual([360, 641, 360, 360])
    for (let other = 0; other < 63; other += 1) trendOf(`other ${other}`)
    expect(trendOf('first')).toBe(trend)
    for (let other = 0; other < 64; other += 1) trendOf(`another ${other}`)
    expect(trendOf('first')).not.toBe(trend)
  })

  it('says what the least and the most were', () => {
    expect(extremes([3, null, 1, 2])).toEqual({ least: 1, most: 3 })
    expect(extremes([null])).toBeNull()
  })
})
