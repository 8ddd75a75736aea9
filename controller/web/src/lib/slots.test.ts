import { expect, it } from 'vitest'
import { Slots } from './slots'

it('keeps the row of what stays, and gives the others to what comes, in their order', () => {
  const slots = new Slots()
  const drawn = (keys: string, ...held: string[]) => {
    slots.draw([...keys], held)
    return [...keys].map((key) => slots.of(key))
  }
  expect(drawn('abcd')).toEqual([0, 1, 2, 3])
  expect(drawn('xcyz')).toEqual([0, 2, 1, 3])
  expect(slots.of('a')).toBeUndefined()
  // One more than there are rows: another is made.
  expect(drawn('zxycw')).toEqual([3, 0, 1, 2, 4])
  // Somebody is at c: its row goes, and is nobody's.
  expect(drawn('zxyvw', 'c')).toEqual([3, 0, 1, 5, 4])
  expect(drawn('')).toEqual([])
  expect(drawn('q')).toEqual([6])
})
