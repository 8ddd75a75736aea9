import { expect, test } from 'vitest'
import { pause } from './stream'

test('pauses grow, are spread, and have a limit', () => {
  expect(pause(0, 0)).toBe(250)
  expect(pause(0, 1)).toBe(500)
  expect(pause(3, 1)).toBe(4000)
  expect(pause(50, 1)).toBe(15_000)
  expect(pause(50, 0)).toBe(7_500)
})
