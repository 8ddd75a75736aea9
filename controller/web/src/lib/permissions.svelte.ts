// Why something cannot be done: what the buttons say. The controller and the agent decide; this only tells beforehand.
import type { Action, Container, Instance } from '../api/types'
import { t } from '../i18n/i18n.svelte'
import { session } from './session.svelte'

/** Why this person may change nothing; none if they may. */
export function whyNotChange(): string | null {
  const person = session.person
  if (!person || person.may_change) return null
  return person.role === 'guest' ? t('reasonGuest') : t('reasonViewer')
}

/** Why a host cannot be removed here; none if it can. */
export function whyNotRemove(instance: Instance): string | null {
  return whyNotChange() ?? (instance.declared ? t('reasonDeclared') : null)
}

/** Why a host's agent cannot be asked for a new key; none if it can. */
export function whyNotRotate(instance: Instance): string | null {
  if (session.person?.role !== 'admin') return t('reasonKeys')
  if (!instance.key) return t('notJoined')
  return instance.link.state === 'lost' || instance.link.state === 'never' ? t('reasonAway') : null
}

/** Whether the owner of a container protects it; as the agent reads the label. */
export const isProtected = (labels: Container['labels']): boolean =>
  !['', 'false', 'no', '0', 'off'].includes((labels['roadstead.protect'] ?? '').trim().toLowerCase())

/** Why a command that needs `verb` cannot be given to `instance`; none if it can. */
export function whyNotCommand(instance: Instance, verb: 'sync' | 'lifecycle' | 'deploy' | 'remove' | 'view'): string | null {
  const person = whyNotChange()
  if (person) return person
  if (instance.ceiling && !instance.ceiling.includes(verb)) return t('reasonCeiling', { verb })
  if (instance.policy && !instance.policy.includes(verb)) return t('reasonPolicy', { verb })
  if (instance.link.state === 'lost' || instance.link.state === 'never') return t('reasonAway')
  return null
}

/** Why a container cannot be acted on so; none if it can. */
export function whyNotAct(instance: Instance, { state, labels }: Pick<Container, 'state' | 'labels'>, action: Action): string | null {
  const command = whyNotCommand(instance, action === 'remove' ? 'remove' : 'lifecycle')
  if (command) return command
  if (isProtected(labels) && action !== 'start' && action !== 'unpause') return t('reasonProtected')
  const up = state === 'running' || state === 'restarting'
  const fits = {
    start: !up && state !== 'paused',
    stop: up || state === 'paused',
    restart: true,
    kill: up || state === 'paused',
    pause: state === 'running',
    unpause: state === 'paused',
    remove: !up && state !== 'paused',
  }[action]
  return fits ? null : t('reasonState', { state })
}
