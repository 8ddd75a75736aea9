import { describe, expect, test } from 'vitest'
import type { LogLine, PlannedStep, RolloutStep } from '../api/types'
import { Story } from './progress'
import { batches, byBatch, far, wanted } from './rollouts'

const planned = (place: number, state = 'waiting') =>
  ({ place, batch: 0, instance: `i${place}`, name: `host-${place}`, project: 'shop', state }) as PlannedStep

describe('a sync of many hosts', () => {
  test('batches are counted among the chosen hosts alone', () => {
    const plan = [planned(0), planned(1, 'skipped'), planned(2), planned(3)]
    const chosen = wanted(plan, new Set(['i2']))
    expect(chosen.map((step) => step.place)).toEqual([0, 3])
    expect([...batches(chosen, 1)]).toEqual([[0, 1], [3, 2]])
    expect([...batches(chosen, 0).values()]).toEqual([1, 2])
  })

  test('steps stand under their batch, also when filtered', () => {
    const step = (batch: number, state: string) => ({ batch, state }) as RolloutStep
    const steps = [step(0, 'failed'), step(0, 'succeeded'), step(1, 'skipped'), step(2, 'failed')]
    expect(byBatch(steps, '').map((one) => one.steps.length)).toEqual([2, 1, 1])
    expect(byBatch(steps, 'failed').map((one) => one.number)).toEqual([1, 3])
  })

  test('how far a sync is: the step that runs, and bytes of all layers', () => {
    const story = new Story()
    expect(far(story)).toEqual({ share: null, text: '' })
    const line = (number: number, entry: LogLine['entry']): LogLine => ({ line: number, at: '2026-01-01T00:00:00Z', entry })
    story.add(line(0, { progress: 'step', step: 'pull', service: 'web', state: 'started' } as LogLine['entry']))
    story.add(line(1, { progress: 'layer', service: 'web', image: 'i', layer: 'a', status: 'Downloading', done_bytes: 1024, total_bytes: 4096 } as LogLine['entry']))
    expect(far(story)).toEqual({ share: 25, text: 'pull web 1.0 KiB / 4.0 KiB' })
  })
})
