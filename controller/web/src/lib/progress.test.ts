import { describe, expect, test } from 'vitest'
import type { LogLine, Progress } from '../api/types'
import { MOST_LINES, pulled, remaining, Story } from './progress'

let next = 0
const line = (entry: Progress, number = next++): LogLine => ({ line: number, at: `2026-01-01T00:00:${String(number % 60).padStart(2, '0')}Z`, entry })
const layer = (id: string, status: string, done = 0, total: number | null = null): LogLine =>
  line({ progress: 'layer', service: 'web', image: 'i', layer: id, status, done_bytes: done, total_bytes: total })

const story = (...lines: LogLine[]) => {
  const it = new Story()
  for (const one of lines) it.add(one)
  return it
}

describe('the story of a command', () => {
  test('a line told twice counts once', () => {
    next = 0
    const first = line({ progress: 'log', stream: 'stdout', text: 'hello' })
    expect(story(first, first).raw).toHaveLength(1)
  })

  test('bytes of layers add up; a finished layer counts whole', () => {
    next = 0
    const it = story(
      layer('a', 'Downloading', 50, 100),
      layer('b', 'Downloading', 10, 100),
      layer('b', 'Download complete'),
      layer('c', 'Already exists'),
      layer('d', 'Extracting', 3, 40),
    )
    const web = it.services.get('web')
    expect(web && pulled(web)).toEqual({ done: 50 + 100 + 40, total: 240, layers: 4, complete: 1 })
    it.add(layer('a', 'Pull complete'))
    expect(web && pulled(web)).toMatchObject({ done: 240, complete: 2 })
  })

  test('a step that comes again after its end is another one', () => {
    next = 0
    const step = (state: 'started' | 'done') => line({ progress: 'step', step: 'pull', service: 'web', state })
    const it = story(step('started'), step('done'), step('started'))
    expect(it.services.get('web')?.steps.map((one) => one.state)).toEqual(['done', 'started'])
  })

  test('the plan names services with what they run; lines of newer versions do no harm', () => {
    next = 0
    const it = story(
      line({ progress: 'plan', strategy: 'compose', why: 'there is one', services: [{ service: 'web', image: 'i', current: 'sha256:1' }] }),
      line({ progress: 'unknown' } as Progress),
      line({ progress: 'dropped', count: 7 }),
    )
    expect(it.plan).toEqual({ strategy: 'compose', why: 'there is one' })
    expect(it.services.get('web')).toMatchObject({ image: 'i', current: 'sha256:1' })
    expect(it.dropped).toBe(7)
    expect(it.next).toBe(3)
  })

  test('an endless log does not eat the browser', () => {
    next = 0
    const it = new Story()
    for (let n = 0; n < MOST_LINES * 3; n += 1) it.add(line({ progress: 'log', stream: 'stdout', text: 'x' }))
    expect(it.raw.length).toBeLessThanOrEqual(MOST_LINES)
    expect(it.raw.length + it.forgotten).toBe(MOST_LINES * 3)
  })

  test('the time left is told only when it can be', () => {
    const bytes = { done: 50, total: 100, layers: 1, complete: 0 }
    expect(remaining(bytes, 10)).toBe(10)
    expect(remaining(bytes, 1)).toBeNull()
    expect(remaining({ ...bytes, done: 0 }, 10)).toBeNull()
    expect(remaining({ ...bytes, done: 100 }, 10)).toBeNull()
  })
})
