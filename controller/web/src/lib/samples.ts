// Hosts, containers and commands for unit tests.
import type { Command, Container, Instance } from '../api/types'

export function instance(id: string, more: Partial<Instance> = {}): Instance {
  const counts = { total: 0, created: 0, running: 0, paused: 0, restarting: 0, removing: 0, exited: 0, dead: 0, unknown: 0, unhealthy: 0 }
  return {
    id,
    name: id,
    description: '',
    tags: [],
    health: 'healthy',
    health_reason: 'The agent is connected and the engine answers.',
    link: { state: 'live', since: '2026-01-01T00:00:00Z', age_seconds: 1 },
    created_at: '2026-01-01T00:00:00Z',
    abilities: [],
    containers: counts,
    projects: [],
    stale: false,
    ...more,
  } as Instance
}

export function container(name: string, more: Partial<Container> = {}): Container {
  return {
    id: name.slice(0, 12),
    full_id: name,
    name,
    image: 'image:latest',
    image_id: 'sha256:0',
    command: '',
    status: 'Up',
    state: 'running',
    health: 'none',
    created_at: '2026-01-01T00:00:00Z',
    oom_killed: false,
    ports: [],
    networks: [],
    mounts: [],
    labels: {},
    labels_truncated: false,
    restart_policy: 'no',
    ...more,
  } as Container
}

export function command(id: string, more: Partial<Command> = {}): Command {
  return {
    id,
    instance: 'one',
    work: { work: 'sync', project: 'shop', services: [], verify_secs: 60 },
    state: 'running',
    ended: false,
    issued_by: 'admin',
    issued_at: '2026-01-01T00:00:00Z',
    age_seconds: 1,
    deadline_secs: 60,
    cancel_requested: false,
    ...more,
  } as Command
}
