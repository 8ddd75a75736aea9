// The addresses of the pages. Pure.

export type Page =
  | { name: 'instances' }
  | { name: 'instance'; id: string; tab: Tab }
  | { name: 'commands' }
  | { name: 'command'; id: string }
  | { name: 'rollout-new' }
  | { name: 'rollout'; id: string }
  | { name: 'events' }
  | { name: 'joining' }
  | { name: 'audit' }
  | { name: 'people' }
  | { name: 'account' }
  | { name: 'nothing' }

export const TABS = ['containers', 'events', 'commands', 'about'] as const
export type Tab = (typeof TABS)[number]

/** The page at `path`. */
export function pageAt(path: string): Page {
  const [first, second, third, ...rest] = path.split('/').filter(Boolean).map(decode)
  if (rest.length > 0) return { name: 'nothing' }
  if (first === undefined) return { name: 'instances' }
  if (first === 'instances' && second !== undefined) {
    const tab = TABS.find((one) => one === (third ?? 'containers'))
    return tab ? { name: 'instance', id: second, tab } : { name: 'nothing' }
  }
  if (third !== undefined) return { name: 'nothing' }
  if (first === 'commands') return second === undefined ? { name: 'commands' } : { name: 'command', id: second }
  if (first === 'rollouts' && second !== undefined) {
    return second === 'new' ? { name: 'rollout-new' } : { name: 'rollout', id: second }
  }
  const plain = (['events', 'joining', 'audit', 'people', 'account'] as const).find((one) => one === first)
  if (second === undefined && plain) return { name: plain }
  return { name: 'nothing' }
}

/** Where a provider sends people back to after they have signed in there. */
export const CALLBACK = '/oidc/callback'

export const paths = {
  instances: '/',
  instance: (id: string, tab: Tab = 'containers') =>
    `/instances/${encodeURIComponent(id)}${tab === 'containers' ? '' : `/${tab}`}`,
  commands: '/commands',
  command: (id: string) => `/commands/${encodeURIComponent(id)}`,
  newRollout: '/rollouts/new',
  rollout: (id: string) => `/rollouts/${encodeURIComponent(id)}`,
  events: '/events',
  joining: '/joining',
  audit: '/audit',
  people: '/people',
  account: '/account',
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
