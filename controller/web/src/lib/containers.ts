// What the instance page works out from a host's containers. Pure.
import type { Container, Port } from '../api/types'
import { byName } from './fleet'

export const ORDERS = ['name', 'state', 'uptime', 'cpu', 'memory'] as const
export type Order = (typeof ORDERS)[number]

/** Those in which each word of `text` is somewhere, in `state` if one is given. */
export function matching(all: readonly Container[], text: string, state: string): Container[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  return all.filter((one) => {
    if (state && one.state !== state) return false
    const hay = [one.name, one.image, one.state, one.health, one.compose_project, one.compose_service, one.full_id]
    const text = `${hay.join('\n')}\n${one.networks.join('\n')}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

export function ordered(all: readonly Container[], by: Order): Container[] {
  const key = {
    name: () => 0,
    state: (one: Container) => (one.health === 'unhealthy' ? -1 : one.state === 'running' ? 1 : 0),
    uptime: (one: Container) => (one.started_at ? -Date.parse(one.started_at) : Infinity),
    cpu: (one: Container) => -(one.cpu_percent ?? -1),
    memory: (one: Container) => -(one.memory_mb ?? -1),
  }[by]
  return [...all].sort((one, other) => key(one) - key(other) || byName(one.name, other.name))
}

export interface Project {
  /** Empty: those that belong to none. */
  project: string
  containers: Container[]
}

/** By compose project, in order; those without last. */
export function byProject(all: readonly Container[]): Project[] {
  const groups = new Map<string, Container[]>()
  for (const one of all) {
    const project = one.compose_project ?? ''
    const list = groups.get(project)
    if (list) list.push(one)
    else groups.set(project, [one])
  }
  const list = Array.from(groups, ([project, containers]) => ({ project, containers }))
  return list.sort((one, other) =>
    one.project === '' || other.project === '' ? (one.project === '' ? 1 : -1) : one.project.localeCompare(other.project),
  )
}

export interface PortLink {
  text: string
  href: string | null
}

/**
 * Ports as text, published ones with a link. A port on every address is reached at the address of the host as the
 * controller knows it (`remote`, an address or a URL); one on a loopback address only on the host itself.
 */
export function portLinks(ports: readonly Port[], remote: string | null | undefined): PortLink[] {
  const seen = new Map<string, PortLink>()
  for (const port of ports) {
    const udp = port.protocol === 'tcp' ? '' : `/${port.protocol}`
    if (!port.public) {
      seen.set(`${port.private}${udp}`, { text: `${port.private}${udp}`, href: null })
      continue
    }
    const text = `${port.public}→${port.private}${udp}`
    const host = hostOf(port.host_ip, remote)
    const scheme = port.private === 443 || port.private === 8443 ? 'https' : 'http'
    const href = host && port.protocol === 'tcp' ? `${scheme}://${host}:${port.public}/` : null
    // Published for IPv4 and IPv6 alike, it is one port to the reader.
    if (!seen.get(text)?.href) seen.set(text, { text, href })
  }
  return [...seen.values()]
}

function hostOf(published: string | null | undefined, remote: string | null | undefined): string | null {
  const everywhere = !published || published === '0.0.0.0' || published === '::'
  // A loopback address is the host's own: nobody reaches it from here.
  if (published === '::1' || published?.startsWith('127.')) return null
  if (!everywhere) return published.includes(':') ? `[${published}]` : published
  if (!remote) return null
  try {
    return new URL(remote.includes('://') ? remote : `tcp://${remote}`).hostname || null
  } catch {
    return null
  }
}

/** Whether a name says that what it names is secret. */
export const masked = (name: string): boolean => /(pass|secret|token|credential|private|api.?key|auth)/i.test(name)
