// What the pages about joining work out. Pure.
import type { JoinToken } from '../api/types'

/** Every verb of a policy, in the order in which they are shown. */
export const VERBS = ['view', 'logs', 'stats', 'sync', 'lifecycle', 'deploy', 'exec', 'remove', 'prune', 'docker-api', 'view-env'] as const
export type Verb = (typeof VERBS)[number]

/** What an agent allows whose owner said nothing; what a ceiling is offered as. */
export const USUAL: readonly Verb[] = ['view', 'logs', 'stats', 'sync', 'lifecycle']

/** How long a join token may live, to choose from. */
export const TOKEN_LIVES = ['15m', '1h', '24h', '7d', '30d'] as const

/** Most uses of one join token. */
export const MOST_USES = 1000

/** A length of time as the API writes it, in the short words of this UI: `24h` → `24 h`. */
export const spanName = (span: string): string => span.replace(/^(\d+)m$/, '$1 min').replace(/^(\d+)([hd])$/, '$1 $2')

/** Whether a join token can still be used at `now` (milliseconds), and if not, why. */
export function tokenState(token: Pick<JoinToken, 'uses_left' | 'expires_at'>, now: number): 'open' | 'used' | 'expired' {
  if (token.uses_left === 0) return 'used'
  return Date.parse(token.expires_at) <= now ? 'expired' : 'open'
}

/** Those of declared agents end with the calendar: they have no end that is worth showing. */
export const endless = (token: Pick<JoinToken, 'expires_at'>): boolean => token.expires_at >= '9999'
