import { describe, expect, test } from 'vitest'
import type { Host } from '../live/model'
import { filtered, type Filter, grouped, labels, rows, sorted, totals } from './fleet'
import { command, instance } from './samples'

const load = (cpu_percent: number) => ({ cpu_percent, memory_mb: 1, at: '', age_seconds: 0 })
const host = (one: Host['instance']): Host => ({ instance: one, containers: new Map(), listed: false })
const counts = (running: number, total: number, unhealthy = 0) => ({ ...instance('x').containers, running, total, unhealthy })
const engine = (cpus: number) => ({ cpus, reachable: true, since: '' })

const hosts = [
  host(instance('web-10', { tags: ['eu', 'edge'], environment: 'prod', containers: counts(2, 3), engine: engine(4), load: load(100) })),
  host(instance('web-9', { tags: ['us'], environment: 'test', health: 'unhealthy', engine: engine(1), load: load(90) })),
  host(instance('db', { containers: counts(1, 1, 1) })),
]
const all = rows(hosts, [])
const names = (list: { instance: { name: string } }[]) => list.map((row) => row.instance.name)
const none: Filter = { text: '', show: null, environment: '', tag: '' }

describe('the instances page', () => {
  test('five totals', () => {
    expect(totals(all)).toEqual({ instances: 3, containers: 4, running: 3, unhealthy: 2, attention: 0 })
  })

  test('every word of the filter has to be somewhere', () => {
    expect(names(filtered(all, { ...none, text: 'WEB eu' }))).toEqual(['web-10'])
    expect(names(filtered(all, { ...none, text: 'web nowhere' }))).toEqual([])
    expect(names(filtered(all, { ...none, show: 'unhealthy' }))).toEqual(['web-9', 'db'])
    expect(names(filtered(all, { ...none, environment: 'test' }))).toEqual(['web-9'])
    expect(names(filtered(all, { ...none, tag: 'edge', show: 'running' }))).toEqual(['web-10'])
  })

  test('names are ordered as people count; what is unknown comes last either way', () => {
    expect(names(sorted(all, 'name'))).toEqual(['db', 'web-9', 'web-10'])
    expect(names(sorted(all, '-name'))).toEqual(['web-10', 'web-9', 'db'])
    expect(names(sorted(all, 'cpu'))).toEqual(['web-10', 'web-9', 'db'])
    expect(names(sorted(all, '-cpu'))).toEqual(['web-9', 'web-10', 'db'])
    expect(names(sorted(all, 'nonsense'))).toEqual(['db', 'web-9', 'web-10'])
  })

  test('the order of names follows a name that changes', () => {
    const two = [host(instance('a')), host(instance('b'))]
    const order = () => names(sorted(rows(two, []), 'name'))
    expect(order()).toEqual(['a', 'b'])
    two[0] = host(instance('a', { name: 'c' }))
    expect(order()).toEqual(['b', 'c'])
    expect(names(sorted(rows([two[1], two[0]] as Host[], []), '-name'))).toEqual(['c', 'b'])
  })

  test('a host stands under each of its tags, and those without come last', () => {
    expect(grouped(all, 'tag').map((one) => one.name)).toEqual(['edge', 'eu', 'us', ''])
    expect(grouped(all, 'environment').map((one) => names(one.rows))).toEqual([['web-10'], ['web-9'], ['db']])
    expect(grouped(all, null)).toHaveLength(1)
  })

  test('only the latest sync of a project counts for what needs attention', () => {
    const failed = command('1', { instance: 'db', state: 'failed', ended: true })
    const fine = command('2', { instance: 'db', state: 'succeeded', ended: true })
    const running = command('3', { instance: 'db' })
    const db = (commands: Parameters<typeof rows>[1]) => rows([host(instance('db'))], commands)[0]
    expect(db([failed])?.attention).toHaveLength(1)
    expect(db([fine, failed])?.attention).toHaveLength(0)
    expect(db([running, failed])).toMatchObject({ running: [running], attention: [failed] })
    const services = [{ service: 'web', image: 'i', result: 'outdated' as const }]
    const outdated = command('4', { instance: 'db', state: 'succeeded', ended: true, outcome: { outcome: 'succeeded', summary: '', services } })
    expect(db([outdated])?.attention).toHaveLength(1)
  })

  test('labels are listed once, in order', () => {
    expect(labels(all)).toEqual({ environments: ['prod', 'test'], tags: ['edge', 'eu', 'us'] })
  })
})
