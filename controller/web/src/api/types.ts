// Short names for what the API speaks of; all of them come from its own description.
import type { components } from './schema'

type Schemas = components['schemas']

export type Session = Schemas['SessionView']
export type Instance = Schemas['InstanceView']
export type Containers = Schemas['ContainersView']
export type Container = Schemas['ContainerView']
export type Command = Schemas['CommandView']
export type CommandState = Schemas['CommandStateView']
export type LogLine = Schemas['LogLineView']
export type Progress = LogLine['entry']
export type Outcome = Schemas['Outcome']
export type ServiceOutcome = Schemas['ServiceOutcome']
export type Event = Schemas['EventView']
export type Events = Schemas['EventsView']
export type Commands = Schemas['CommandsView']
export type Audit = Schemas['AuditView']
export type AuditEntry = Schemas['AuditEntryView']
export type Live = Schemas['LiveView']
export type Registered = Schemas['RegisteredView']
export type Join = Schemas['JoinView']
export type Accepted = Schemas['AcceptedView']
export type InstanceHealth = Schemas['InstanceHealthView']
export type Port = Schemas['Port']
export type Action = 'start' | 'stop' | 'restart' | 'kill' | 'pause' | 'unpause' | 'remove'

/** The figures of one container, as they come after the whole view. */
export type Figures = { full_id: string; at: string; age_seconds: number } & Pick<
  Container,
  | 'cpu_percent'
  | 'memory_mb'
  | 'memory_limit_mb'
  | 'network_rx_bytes'
  | 'network_tx_bytes'
  | 'block_read_bytes'
  | 'block_write_bytes'
>

/** Changes as `/api/live` tells them; they have no names in the description of the API. */
export interface ContainersChange {
  instance: string
  whole: boolean
  upsert: Container[]
  remove: string[]
}
export interface FiguresChange {
  instance: string
  samples: Figures[]
}
export type Work = Schemas['Work']
