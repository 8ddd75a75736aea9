// Which tone a state has: the one place where states become colours.
import type { CommandState, Container, Instance, StepState } from '../api/types'

export type Tone = 'good' | 'warn' | 'bad' | 'soft' | 'busy'

export const healthTone = (health: Instance['health']): Tone =>
  ({ healthy: 'good', unhealthy: 'bad', unknown: 'soft' })[health] as Tone

export const linkTone = (state: Instance['link']['state']): Tone =>
  ({ live: 'good', late: 'warn', lost: 'bad', never: 'soft' })[state] as Tone

export function containerTone(container: Pick<Container, 'state' | 'health' | 'exit_code'>): Tone {
  if (container.health === 'unhealthy') return 'bad'
  switch (container.state) {
    case 'running':
      return container.health === 'starting' ? 'warn' : 'good'
    case 'paused':
    case 'restarting':
    case 'removing':
      return 'warn'
    case 'dead':
      return 'bad'
    case 'exited':
      return container.exit_code ? 'bad' : 'soft'
    default:
      return 'soft'
  }
}

export const commandTone = (state: CommandState): Tone =>
  ({ issued: 'soft', sent: 'busy', running: 'busy', succeeded: 'good', failed: 'bad', cancelled: 'warn', lost: 'bad' })[
    state
  ] as Tone

export const stepTone = (state: StepState): Tone =>
  ({
    waiting: 'soft', queued: 'warn', running: 'busy', succeeded: 'good', failed: 'bad', cancelled: 'warn', lost: 'bad',
    refused: 'bad', skipped: 'warn',
  })[state] as Tone

export const rolloutTone = (state: string): Tone =>
  (({ running: 'busy', stopping: 'busy', succeeded: 'good', failed: 'bad', incomplete: 'warn', stopped: 'warn' }) as Record<string, Tone>)[
    state
  ] ?? 'soft'
