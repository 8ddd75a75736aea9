import { beforeEach, describe, expect, test } from 'vitest'
import type { Containers, ContainersChange, Event, Live } from '../api/types'
import { command, container, instance } from '../lib/samples'
import { Model } from './model'

const view = (more: Partial<Live> = {}): Live => ({
  at: '2026-01-01T00:00:00Z',
  version: '1.0',
  instances: [instance('one'), instance('two')],
  containers: [],
  commands: [command('c1')],
  ...more,
})
const figures = (full_id: string, cpu_percent: number | null, memory_mb: number) => ({
  full_id, cpu_percent, memory_mb, at: '2026-01-01T00:00:05Z', age_seconds: 0,
  network_rx_bytes: 0, network_tx_bytes: 0, block_read_bytes: 0, block_write_bytes: 0,
})

const list = (...containers: ReturnType<typeof container>[]) => ({ instance: 'one', containers }) as Containers
const told = (more: Partial<ContainersChange>): ContainersChange => ({ instance: 'one', whole: false, upsert: [], remove: [], ...more })

describe('the model of the fleet', () => {
  let model: Model
  const names = () => [...(model.hosts.get('one')?.containers.keys() ?? [])].sort()
  beforeEach(() => {
    model = new Model()
    model.view(view())
  })

  test('a whole view replaces everything', () => {
    expect([...model.hosts.keys()]).toEqual(['one', 'two'])
    model.view(view({ instances: [instance('two')] }))
    expect([...model.hosts.keys()]).toEqual(['two'])
  })

  test('containers are kept while a page looks at them, and no longer', () => {
    model.list(list(container('a')))
    model.containers(told({ upsert: [container('b')] }))
    expect(names()).toEqual([])
    const [one, other] = [model.look('one'), model.look('one')]
    expect(model.hosts.get('one')?.listed).toBe(false)
    model.list(list(container('a')))
    model.containers(told({ upsert: [container('c')] }))
    expect([names(), model.hosts.get('one')?.listed]).toEqual([['a', 'c'], true])
    one()
    expect(names()).toEqual(['a', 'c'])
    other()
    expect([names(), model.hosts.get('one')?.listed]).toEqual([[], false])
  })

  test('what is told while a list is on its way is newer than the list', () => {
    model.look('one')
    model.containers(told({ upsert: [container('old'), container('gone')] }))
    model.asked('one')
    model.containers(told({ upsert: [container('new'), container('both', { state: 'paused' })], remove: ['gone'] }))
    model.list(list(container('both'), container('gone'), container('listed')))
    expect(names()).toEqual(['both', 'listed', 'new'])
    expect(model.hosts.get('one')?.containers.get('both')?.state).toBe('paused')
    model.asked('one')
    model.list(list(container('listed')))
    expect(names()).toEqual(['listed'])
  })

  test('a whole list drops those that it does not name; a new view asks anew and keeps them until then', () => {
    model.look('one')
    model.list(list(container('a'), container('b')))
    model.containers(told({ whole: true, upsert: [container('c')] }))
    expect(names()).toEqual(['c'])
    model.view(view())
    expect(names()).toEqual(['c'])
  })

  test('figures are those of containers that are known', () => {
    model.look('one')
    model.list(list(container('a')))
    model.figures({ instance: 'one', samples: [figures('a', 12, 10), figures('gone', 99, 99)] })
    model.figures({ instance: 'nowhere', samples: [figures('a', 1, 1)] })
    expect(model.hosts.get('one')?.containers.get('a')).toMatchObject({ cpu_percent: 12, name: 'a', figures: { age_seconds: 0 } })
    expect(names()).toEqual(['a'])
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
    for (let id = 1; id <= 2300; id += 1) model.event(event(id))
    model.event(event(2299))
    expect(model.events.length).toBe(1000)
    expect(model.events[0]?.id).toBe(2300)
  })
})
