// Events in words.
import type { Event } from '../api/types'
import { t } from '../i18n/i18n.svelte'
import { plain } from './format'
import type { Tone } from './tones'

/** The kinds of events, as the API's filter takes them. */
export const KINDS = [
  'container',
  'engine',
  'engine_lost',
  'engine_found',
  'agent_started',
  'command_ended',
  'refused',
  'gap',
] as const

/** The name of each, as people read it. */
export const kindName = (kind: string): string =>
  (
    ({
      container: t('kindContainer'),
      engine: t('kindEngine'),
      engine_lost: t('kindEngineLost'),
      engine_found: t('kindEngineFound'),
      agent_started: t('kindAgentStarted'),
      command_ended: t('kindCommandEnded'),
      refused: t('kindRefused'),
      gap: t('kindGap'),
    }) as Record<string, string>
  )[kind] ?? plain(kind)

/** Digests and whole ids by their first twelve digits, as Docker's own tools show them. */
const short = (text: string): string => text.replace(/(sha256:)?\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1$2')

export function eventText({ what }: Event): string {
  switch (what.kind) {
    case 'container': {
      const code = what.attributes?.exitCode
      const exit = code ? `, ${t('exitCode', { code: plain(code) })}` : ''
      const noticed = what.inferred ? ` (${t('inferred')})` : ''
      return `${plain(what.name)}: ${plain(what.action)}${exit}${noticed}`
    }
    case 'engine':
      return `${plain(what.object)} ${short(plain(what.id)).slice(0, 80)}: ${plain(what.action)}`
    case 'engine_lost':
      return t('eventEngineLost', { reason: plain(what.reason) })
    case 'engine_found':
      return t('eventEngineFound', { version: plain(what.version) })
    case 'agent_started':
      return t('eventAgentStarted', { version: plain(what.version) })
    case 'command_ended':
      return t('eventCommandEnded', { outcome: what.outcome.outcome })
    case 'refused':
      if (what.rule) {
        return t('eventRefusedLimit', { what: plain(what.what), verb: what.verb, rule: plain(what.rule) })
      }
      return t('eventRefused', { what: plain(what.what), verb: what.verb })
    case 'gap':
      return t('eventGap', { count: what.count, reason: plain(what.reason) })
    default:
      return t('unknown')
  }
}

export function eventTone({ what }: Event): Tone {
  switch (what.kind) {
    case 'container':
      if (what.action.includes('unhealthy') || what.action === 'oom') return 'bad'
      if (what.action === 'die') return what.attributes?.exitCode === '0' ? 'soft' : 'bad'
      if (what.action === 'start' || what.action.includes('healthy')) return 'good'
      return 'soft'
    case 'engine_lost':
    case 'gap':
      return 'bad'
    case 'engine_found':
    case 'agent_started':
      return 'good'
    case 'command_ended':
      return what.outcome.outcome === 'succeeded' ? 'good' : what.outcome.outcome === 'cancelled' ? 'warn' : 'bad'
    case 'refused':
      return 'warn'
    default:
      return 'soft'
  }
}
