import { beforeEach, describe, expect, test } from 'vitest'
import type { Event, Live } from '../api/types'
import { command, container, instance } from '../lib/samples'
import { Model } from './model'

const view = (more: Partial<Live> = {}): Live => ({
  at: '2026-01-01T00:00:00Z',
  instances: [instance('one'), instance('two')],
  containers: [
    { instance: 'one', containers: [container('a'), container('b', { health: 'unhealthy' })] } as Live['containers'][number],
  ],
  commands: [command('c1')],
  ...more,
})
const figures = (full_id: string, cpu_percent: number | null, memory_mb: number) => ({
  full_id, cpu_percent, memory_mb, at: '2026-01-01T00:00:05Z', age_seconds: 0,
  network_rx_bytes: 0, network_tx_bytes: 0, block_read_bytes: 0, block_write_bytes: 0,
})

describe('the model of the fleet', () => {
  let model: Model
  beforeEach(() => {
    model = new Model()
    model.view(view())
  })

  test('a whole view replaces everything', () => {
    expect([...model.hosts.keys()]).toEqual(['one', 'two'])
    model.view(view({ instances: [instance('two')], containers: [] }))
    expect([...model.hosts.keys()]).toEqual(['two'])
    expect(model.hosts.get('two')?.containers.size).toBe(0)
  })

  test('where containers come after the view, the last known ones stand until they do', () => {
    model.view(view({ containers: [] }))
    expect([...(model.hosts.get('one')?.containers.keys() ?? [])]).toEqual(['a', 'b'])
    model.containers({ instance: 'one', whole: true, upsert: [container('z')], remove: [] })
    expect([...(model.hosts.get('one')?.containers.keys() ?? [])]).toEqual(['z'])
  })

  test('containers come, change and go; a whole list drops those that it does not name', () => {
    model.containers({ instance: 'one', whole: false, upsert: [container('c')], remove: ['a'] })
    expect([...(model.hosts.get('one')?.containers.keys() ?? [])]).toEqual(['b', 'c'])
    expect(model.hosts.get('one')?.load.unhealthy).toBe(1)
    model.containers({ instance: 'one', whole: true, upsert: [container('d')], remove: [] })
    expect([...(model.hosts.get('one')?.containers.keys() ?? [])]).toEqual(['d'])
    expect(model.hosts.get('one')?.load.unhealthy).toBe(0)
  })

  test('figures add up, and those of unknown containers and hosts are ignored', () => {
    model.figures({ instance: 'one', samples: [figures('a', 12, 10), figures('b', null, 5), figures('gone', 99, 99)] })
    model.figures({ instance: 'nowhere', samples: [figures('a', 1, 1)] })
    expect(model.hosts.get('one')?.load).toMatchObject({ cpuPercent: 12, memoryMb: 15 })
    expect(model.hosts.get('one')?.containers.get('a')).toMatchObject({ cpu_percent: 12, name: 'a' })
    expect(model.hosts.get('two')?.load.cpuPercent).toBeNull()
  })

  test('changes of a host that is gone do nothing', () => {
    model.removed({ instance: 'one' })
    model.containers({ instance: 'one', whole: true, upsert: [container('a')], remove: [] })
    expect(model.hosts.has('one')).toBe(false)
  })

  test('a command that a new view no longer names has ended unseen: it does not go on running here', () => {
    model.command(command('c2', { state: 'succeeded', ended: true }))
    model.view(view({ commands: [] }))
    expect([...model.commands.keys()]).toEqual(['c2'])
  })

  test('ended commands are forgotten when there are too many, unfinished ones never', () => {
    for (let n = 0; n < 500; n += 1) model.command(command(`e${n}`, { state: 'failed', ended: true }))
    expect(model.commands.size).toBe(200)
    expect(model.commands.has('c1')).toBe(true)
  })

  test('an event told twice is kept once, and only so many are kept', () => {
    const event = (id: number) => ({ id, instance: 'one' }) as Event
    for (let id = 1; id <= 300; id += 1) model.event(event(id))
    model.event(event(299))
    expect(model.events.length).toBe(200)
    expect(model.events[0]?.id).toBe(300)
  })
})
