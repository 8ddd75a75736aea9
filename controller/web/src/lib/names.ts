// States and orders in words.
import type { ApiToken, Command, CommandState, Instance, Rollout, StepState } from '../api/types'
import { t } from '../i18n/i18n.svelte'
import type { Sort } from './fleet'
import { live } from '../live/store.svelte'
import { plain } from './format'

export const sortName = (sort: Sort): string =>
  ({
    name: t('name'),
    health: t('health'),
    link: t('link'),
    seen: t('lastSeen'),
    cpu: t('cpu'),
    memory: t('memory'),
    containers: t('containers'),
  })[sort]

export const healthName = (health: Instance['health']): string =>
  ({ healthy: t('healthy'), unhealthy: t('unhealthy'), unknown: t('unknown') })[health]

export const linkName = (state: Instance['link']['state']): string =>
  ({ live: t('linkLive'), late: t('linkLate'), lost: t('linkLost'), never: t('linkNever') })[state]

export const directionName = (direction: string | null | undefined): string =>
  direction === 'inbound' ? t('inbound') : direction === 'outbound' ? t('outbound') : ''

export const commandStateName = (state: CommandState): string =>
  ({
    issued: t('stateIssued'),
    sent: t('stateSent'),
    running: t('stateRunning'),
    succeeded: t('stateSucceeded'),
    failed: t('stateFailed'),
    cancelled: t('stateCancelled'),
    lost: t('stateLost'),
  })[state]

export const lifecycleName = (status: string): string =>
  (
    ({
      installing: t('lifeInstalling'),
      ready: t('lifeReady'),
      failed: t('lifeFailed'),
      stopped: t('lifeStopped'),
      removed: t('lifeRemoved'),
    }) as Record<string, string>
  )[status] ?? t('unknown')

export const stepStateName = (state: StepState): string =>
  ({
    waiting: t('stepWaiting'),
    queued: t('stepQueued'),
    running: t('stateRunning'),
    succeeded: t('stateSucceeded'),
    failed: t('stateFailed'),
    cancelled: t('stateCancelled'),
    lost: t('stateLost'),
    refused: t('stepRefused'),
    skipped: t('stepSkipped'),
  })[state]

export const rolloutStateName = (state: string): string =>
  (
    ({
      running: t('stateRunning'),
      stopping: t('rolloutStopping'),
      succeeded: t('stateSucceeded'),
      failed: t('stateFailed'),
      incomplete: t('rolloutIncomplete'),
      stopped: t('rolloutStopped'),
    }) as Record<string, string>
  )[state] ?? t('unknown')

/** What a rollout does, in words. */
export const rolloutName = ({ projects, counts }: Pick<Rollout, 'projects' | 'counts'>): string => {
  const named = projects.filter(Boolean)
  const what = named.length === 1 ? plain(named[0] ?? '') : t('projectCount', { count: named.length })
  return t('rolloutOf', { what, count: counts.total })
}

/** The name of a container, or the beginning of its id where that is not known. */
export function containerName(instance: string, id: string): string {
  const name = live.containerName(instance, id)
  return /^[0-9a-f]{64}$/.test(name) ? name.slice(0, 12) : plain(name)
}

/** What a command does, in words. */
export function workName({ work, instance }: Pick<Command, 'work' | 'instance'>): string {
  const named = (container: string): string => containerName(instance, container)
  switch (work.work) {
    case 'sync':
      return t('workSync', { project: plain(work.project) })
    case 'check':
      return t('workCheck', { project: plain(work.project) })
    case 'install':
      return t('workInstall', { name: plain(work.name) })
    case 'reinstall':
      return t('workReinstall', { name: named(work.container) })
    case 'container':
      return t('workContainer', { action: work.action, name: named(work.container) })
    default:
      return t('workUnknown')
  }
}

export const roleName = (role: string): string =>
  ({ guest: t('roleGuest'), viewer: t('roleViewer'), operator: t('roleOperator'), admin: t('roleAdmin') })[role] ?? plain(role)

export const scopeName = (scope: ApiToken['scope']): string =>
  ({ read: t('scopeRead'), operate: t('scopeOperate'), admin: t('scopeAdmin') })[scope]
