import { describe, expect, test } from 'vitest'
import type { Host } from '../live/model'
import { filtered, type Filter, grouped, labels, projects, rows, sorted, totals } from './fleet'
import { command, container, instance } from './samples'

const load = (cpuPercent: number | null = null, unhealthy = 0) => ({ cpuPercent, memoryMb: null, unhealthy, at: null })
const host = (one: Host['instance'], more: Partial<Host> = {}): Host => ({
  instance: one, containers: new Map(), load: load(), ...more,
})
const counts = (running: number, total: number) => ({ ...instance('x').containers, running, total })
const engine = (cpus: number) => ({ cpus, reachable: true, since: '' })

const hosts = [
  host(instance('web-10', { tags: ['eu', 'edge'], environment: 'prod', containers: counts(2, 3), engine: engine(4) }), { load: load(100) }),
  host(instance('web-9', { tags: ['us'], environment: 'test', health: 'unhealthy', engine: engine(1) }), { load: load(90) }),
  host(instance('db', { containers: counts(1, 1) }), { load: load(null, 1) }),
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

  test('labels and projects are listed once, in order', () => {
    expect(labels(all)).toEqual({ environments: ['prod', 'test'], tags: ['edge', 'eu', 'us'] })
    const list = ['b', 'a', 'b', null].map((compose_project, at) => container(String(at), { compose_project }))
    expect(projects(host(instance('x'), { containers: new Map(list.map((one) => [one.name, one])) }))).toEqual(['a', 'b'])
  })
})
