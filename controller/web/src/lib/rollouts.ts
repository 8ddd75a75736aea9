// What the pages about syncs of many hosts work out. Pure.
import type { PlannedStep, Rollout, RolloutStep, StepState } from '../api/types'
import { bytes } from './format'
import { pulled, type Story } from './progress'

/** The steps of a plan that are to be done: their hosts are chosen, and there is something to sync. */
export const wanted = (plan: readonly PlannedStep[], left: ReadonlySet<string>): PlannedStep[] =>
  plan.filter((step) => step.state === 'waiting' && !left.has(step.instance))

/** Each step's batch, from 1, among those that are to be done. */
export function batches(steps: readonly PlannedStep[], size: number): Map<number, number> {
  return new Map(steps.map((step, index) => [step.place, Math.floor(index / Math.max(1, size)) + 1]))
}

export interface Batch {
  number: number
  steps: RolloutStep[]
}

/** Steps by their batch, in order; only those in `state` if one is given. */
export function byBatch(steps: readonly RolloutStep[], state: string): Batch[] {
  const found: Batch[] = []
  for (const step of steps) {
    if (state && step.state !== state) continue
    const last = found[found.length - 1]
    if (last && last.number === step.batch + 1) last.steps.push(step)
    else found.push({ number: step.batch + 1, steps: [step] })
  }
  return found
}

export const isOver = (state: StepState): boolean => state !== 'waiting' && state !== 'queued' && state !== 'running'

/** How many steps are over. */
export const done = ({ counts }: Rollout): number => counts.succeeded + counts.failed + counts.skipped

/** How far a running sync is: its last step in words, and the share of bytes that are there. */
export function far(story: Story): { share: number | null; text: string } {
  let [got, total] = [0, 0]
  let text = ''
  for (const service of story.services.values()) {
    const sum = pulled(service)
    got += sum.done
    total += sum.total
    for (const step of service.steps) if (step.endedAt === null) text = [step.step, service.name].filter(Boolean).join(' ')
  }
  if (total > 0 && got < total) text = `${text} ${bytes(got)} / ${bytes(total)}`.trim()
  return { share: total > 0 ? (got / total) * 100 : null, text }
}
