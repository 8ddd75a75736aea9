import { describe, expect, test } from 'vitest'
import type { Event } from '../api/types'
import { type Recent, withTold } from './recent'

const event = (id: number) => ({ id, instance: id % 2 ? 'odd' : 'even' }) as Event
const down = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, n) => event(from - n))
const ids = ({ list }: Recent) => list.map((one) => one.id)
const all = () => true
const read: Recent = { list: down(10, 8), covered: 10, next: 8 }

describe('a list of events that goes on', () => {
  test('has what is told in front of what was read, once', () => {
    const now = withTold(read, down(12, 9), all, 100, 50)
    expect([ids(now), now.covered, now.next]).toEqual([[12, 11, 10, 9, 8], 12, 8])
    expect(withTold(now, down(12, 9), all, 100, 50)).toBe(now)
  })

  test('knows of those that the filter leaves out', () => {
    const odd = (one: Event) => one.instance === 'odd'
    const now = withTold({ list: [event(9)], covered: 10, next: null }, down(12, 11), odd, 2, 50)
    // All that is kept is newer: what else there was between is not known.
    expect([ids(now), now.covered, now.next]).toEqual([[11], 12, 11])
    const next = withTold({ list: [event(9)], covered: 11, next: null }, down(12, 11), odd, 2, 50)
    expect([ids(next), next.covered, next.next]).toEqual([[9], 12, null])
  })

  test('leaves out what no longer follows, and offers it as older', () => {
    const now = withTold(read, down(40, 31), all, 10, 50)
    expect([ids(now).length, ids(now).at(-1), now.next]).toEqual([10, 31, 31])
  })

  test('keeps no more than so many, and offers the rest as older', () => {
    const now = withTold({ ...read, next: null }, down(13, 9), all, 100, 4)
    expect([ids(now), now.next]).toEqual([[13, 12, 11, 10], 10])
  })
})
