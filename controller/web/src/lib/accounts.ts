// What the pages about accounts work out. Pure.
import type { ApiToken, User } from '../api/types'

export const ROLES = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof ROLES)[number]

export const SCOPES = ['read', 'operate', 'admin'] as const satisfies readonly ApiToken['scope'][]

/** Days that a token may live, to choose from. */
export const LIVES = [7, 30, 90, 365] as const

/** Whether a token of `scope` would be allowed more than somebody of `role`, who is to make it. */
export function whyNotScope(role: string, scope: (typeof SCOPES)[number]): boolean {
  return SCOPES.indexOf(scope) > ROLES.indexOf(role as Role)
}

/** Words between spaces or commas. */
export const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean)

/** Whether nobody else is an administrator who may sign in: the API keeps this one as it is. */
export function lastAdmin(users: readonly User[], one: User): boolean {
  const able = users.filter((user) => user.role === 'admin' && !user.disabled)
  return able.length === 1 && able[0]?.name === one.name
}

const RETURNED = ['state', 'code', 'iss', 'error', 'error_description'] as const

/** What the provider sent a browser back with, of the query that it came with. */
export function returned(search: string): { state: string } & Record<string, string> {
  const query = new URLSearchParams(search)
  const given = RETURNED.map((name) => [name, query.get(name)] as const).filter(([, value]) => value !== null)
  return { state: '', ...Object.fromEntries(given) }
}

const BROWSERS: [RegExp, string][] = [
  [/\bEdg(e|A|iOS)?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'],
  [/\b(Headless)?(Chrome|Chromium|CriOS)\//, 'Chrome'],
  [/\bVersion\/.*Safari\//, 'Safari'],
  [/^curl\//, 'curl'],
]
const SYSTEMS: [RegExp, string][] = [
  [/Windows/, 'Windows'],
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Mac OS X/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
]

/** What a browser calls itself, in two words; none if it says nothing that is known. */
export function browserName(client: string | null | undefined): string | null {
  const find = (list: [RegExp, string][]) => list.find(([pattern]) => pattern.test(client ?? ''))?.[1]
  return [find(BROWSERS), find(SYSTEMS)].filter(Boolean).join(', ') || null
}
