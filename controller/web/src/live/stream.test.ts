import { expect, test } from 'vitest'
import { ofContainers, pause } from './stream'

test('pauses grow, are spread, and have a limit', () => {
  expect(pause(0, 0)).toBe(250)
  expect(pause(0, 1)).toBe(500)
  expect(pause(3, 1)).toBe(4000)
  expect(pause(50, 1)).toBe(15_000)
  expect(pause(50, 0)).toBe(7_500)
})

test('whose containers a text tells of is known without reading it', () => {
  expect(ofContainers('containers', '{"instance":"nas-1","whole":false,"upsert":[')).toBe('nas-1')
  expect(ofContainers('figures', '{"instance":"nas-1","samples":[')).toBe('nas-1')
  expect(ofContainers('instance', '{"instance":"nas-1"}')).toBeNull()
  expect(ofContainers('containers', '{"whole":false,"instance":"nas-1"}')).toBeNull()
})
