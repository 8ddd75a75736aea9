// What can be done with a container: words and signs.
import type { IconName } from '../components/Icon.svelte'
import type { Action } from '../api/types'
import { t } from '../i18n/i18n.svelte'

export const actionNames = (): Record<Action, string> => ({
  start: t('start'),
  stop: t('stop'),
  restart: t('restart'),
  kill: t('kill'),
  pause: t('pause'),
  unpause: t('unpause'),
  remove: t('remove'),
})

export const actionIcons: Record<Action, IconName> = {
  start: 'play',
  stop: 'stop',
  restart: 'restart',
  kill: 'close',
  pause: 'pause',
  unpause: 'play',
  remove: 'trash',
}
