import { describe, expect, test } from 'vitest'
import { de } from '../i18n/de'
import { en } from '../i18n/en'
import { fill } from '../i18n/i18n.svelte'
import { byProject, masked, matching, ordered, portLinks } from './containers'
import { csv } from './export'
import { age, bytes, digest, duration, percent, plain } from './format'
import { find, meant } from './palette'
import { pageAt, paths } from './paths'
import { container, instance } from './samples'
import { HURRIED, visible } from './virtual'

describe('formats', () => {
  test.each([[0, '0 B'], [1023, '1023 B'], [1536, '1.5 KiB'], [200 * 1024, '200 KiB'], [2 ** 50 * 3000, '3000 PiB']])('%d bytes', (count, text) => {
    expect(bytes(count)).toBe(text)
  })
  test.each([[-5, '0 s'], [59.9, '59 s'], [61, '1 min 1 s'], [1800, '30 min'], [3661, '1 h 1 min'], [90_000, '1 d 1 h']])('%d seconds', (seconds, text) => {
    expect(duration(seconds)).toBe(text)
  })
  test('the rest', () => {
    expect(percent(0.26)).toBe('0.3 %')
    expect(percent(99.6)).toBe('100 %')
    expect(age('2026-01-01T00:00:10Z', Date.parse('2026-01-01T00:00:00Z'))).toBe(0)
    expect(digest('sha256:0123456789abcdef')).toBe('0123456789ab')
    expect(digest(null)).toBe('–')
    expect(plain('a\u202eb\u0000c\n')).toBe('a·b·c·')
  })
})

describe('texts', () => {
  test('values are put in, plurals chosen, unknown names left', () => {
    expect(fill('{a} and {b}', { a: 'x' })).toBe('x and {b}')
    expect(fill('{count} host|{count} hosts', { count: 1 })).toBe('1 host')
    expect(fill('{count} host|{count} hosts', { count: 2000 })).toBe('2,000 hosts')
    expect(fill('{a}', { a: '{a}' })).toBe('{a}')
  })
  test('every language names the same values', () => {
    const names = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()
    for (const [key, text] of Object.entries(en)) expect(names(de[key as keyof typeof en]), key).toEqual(names(text))
  })
})

test('addresses lead to pages and back', () => {
  expect(pageAt('/')).toEqual({ name: 'instances' })
  expect(pageAt(paths.instance('a/b', 'events'))).toEqual({ name: 'instance', id: 'a/b', tab: 'events' })
  expect(pageAt(paths.command('c'))).toEqual({ name: 'command', id: 'c' })
  for (const path of ['/nothing', '/instances/a/nothing', '/commands/a/b', '/events/a', '/a/b/c/d']) {
    expect(pageAt(path), path).toEqual({ name: 'nothing' })
  }
  expect(pageAt('/instances/%ff')).toMatchObject({ name: 'instance', id: '%ff' })
})

test('only rows in sight are drawn, and the others keep their room', () => {
  expect(visible(50, 10, -1e6, 500)).toEqual({ from: 0, to: 50, above: 0, below: 0 })
  const part = visible(1000, 10, -5000, 500)
  expect(part).toEqual({ from: 492, to: 559, above: 4920, below: 4410 })
  expect(visible(1000, 10, 400, 500).from).toBe(0)
  const end = visible(1000, 10, -1e6, 500)
  expect([end.from, end.to, end.above]).toEqual([1000, 1000, 10_000])
  expect(visible(50, 10, 0, 100, HURRIED)).toEqual({ from: 0, to: 12, above: 0, below: 380 })
})

describe('containers', () => {
  const all = [
    container('b', { compose_project: 'shop', cpu_percent: 5 }),
    container('a', { state: 'exited', networks: ['blue'] }),
    container('c', { compose_project: 'shop', health: 'unhealthy' }),
  ]
  const names = (list: { name: string }[]) => list.map((one) => one.name).join('')
  test('filtered, ordered, grouped', () => {
    expect(names(matching(all, 'shop', ''))).toBe('bc')
    expect(names(matching(all, 'BLUE', 'exited'))).toBe('a')
    expect(names(matching(all, 'blue', 'running'))).toBe('')
    expect(names(ordered(all, 'state'))).toBe('cab')
    expect(names(ordered(all, 'cpu'))).toBe('bac')
    expect(byProject(ordered(all, 'name')).map((one) => `${one.project}:${names(one.containers)}`)).toEqual(['shop:bc', ':a'])
  })
  test('ports become links where they lead somewhere', () => {
    const port = { private: 80, public: 8080, protocol: 'tcp', host_ip: '0.0.0.0' }
    const link = (more: object, remote: string | null) => portLinks([{ ...port, ...more }], remote)[0]?.href
    expect(link({}, '192.0.2.1:555')).toBe('http://192.0.2.1:8080/')
    expect(link({}, 'wss://nas.example.org:8082')).toBe('http://nas.example.org:8080/')
    expect(link({}, '[2001:db8::1]:555')).toBe('http://[2001:db8::1]:8080/')
    expect(link({ private: 443 }, 'h:1')).toBe('https://h:8080/')
    expect(link({ host_ip: '127.0.0.1' }, 'h:1')).toBeNull()
    expect(link({ protocol: 'udp' }, 'h:1')).toBeNull()
    expect(link({ public: null }, 'h:1')).toBeNull()
    expect(link({}, null)).toBeNull()
    expect(portLinks([port, { ...port, host_ip: '::' }], 'h:1')).toHaveLength(1)
  })
  test('names of secrets', () => {
    expect(['DB_PASSWORD', 'api.token', 'my-api-key'].every(masked)).toBe(true)
    expect(masked('com.docker.compose.project')).toBe(false)
  })
})

test('CSV is quoted, and is no formula', () => {
  expect(csv([['a,b', 'say "hi"', null, -1], ['=1+1', '-x', 'line\nbreak', 2]])).toBe(
    '"a,b","say ""hi""",,-1\r\n\'=1+1,\'-x,"line\nbreak",2\r\n',
  )
})

test('the palette finds by words, best first', () => {
  const one = container('web_1', { compose_project: 'shop' })
  const hosts = [{ instance: instance('h', { name: 'web', projects: ['shop'] }), containers: new Map(), listed: false }]
  const rows = [{ instance: 'h', instance_name: 'web', full_id: one.full_id, name: one.name }]
  const fixed = [{ kind: 'page' as const, text: 'Cobwebs', href: '/x' }]
  const texts = (text: string, may = true) => find(text, fixed, hosts, rows, may, (key) => key).map((entry) => `${entry.kind}:${entry.text}`)
  expect(texts('web')).toEqual(['host:web', 'container:web_1', 'page:Cobwebs', 'project:shop', 'action:syncProject'])
  expect(texts('shop', false)).toEqual(['project:shop'])
  expect(texts('nowhere')).toEqual([])
  expect(texts('rest web')).toEqual(['action:restart web_1'])
  expect(texts('rest web', false)).toEqual([])
  expect(texts('')).toEqual(['page:Cobwebs', 'host:web', 'container:web_1'])
  expect(find('shop', [], hosts, rows, true, (key, values) => `${key} ${values?.project}`).map((entry) => entry.href)).toEqual(['/instances/h?q=shop', '/instances/h?sync=shop'])
  // What the controller is asked for holds no word that means an action.
  expect(meant('rest web', true, (key) => key)).toEqual({ verbs: ['restart'], rest: 'web' })
  expect(meant('rest web', false, (key) => key)).toEqual({ verbs: [], rest: 'rest web' })
})
