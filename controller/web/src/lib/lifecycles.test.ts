import { describe, expect, test } from 'vitest'
import type { Life, LifeSpan } from '../api/types'
import { lines, pieces, together } from './lifecycles'

const at = (second: number) => new Date(second * 1000).toISOString()
const span = (status: string, from: number, until: number | null, reason: string | null = null): LifeSpan => ({
  status, reason, cause: null, from: at(from), until: until === null ? null : at(until),
})
const life = (name: string, project: string | null, ...spans: LifeSpan[]): Life => ({ full_id: name, name, project, present: true, spans })

describe('lifecycles on a line of time', () => {
  test('spans are cut at both ends and keep their place', () => {
    const drawn = pieces([span('ready', 0, 50), span('failed', 50, 75, 'exit'), span('ready', 75, null)], 25_000, 125_000)
    expect(drawn.map((one) => [one.status, one.from, one.width])).toEqual([['ready', 0, 25], ['failed', 25, 25], ['ready', 50, 50]])
    expect(drawn[1]?.reason).toBe('exit')
    expect(pieces([span('ready', 0, 10)], 25_000, 125_000)).toEqual([])
  })

  test('what is too short to be seen alone is drawn as one, the worst of it in sight', () => {
    const loop = Array.from({ length: 200 }, (_, n) => span(n % 2 ? 'failed' : 'installing', n, n + 1))
    const drawn = pieces([...loop, span('ready', 200, null)], 0, 1_000_000_000)
    expect(drawn.length).toBeLessThan(5)
    expect(drawn[0]).toMatchObject({ status: 'failed', reason: null })
    expect(drawn[0]?.count).toBeGreaterThan(100)
  })

  test('a project is as its worst container is, and says which', () => {
    const web = life('web', 'shop', span('ready', 0, 10), span('failed', 10, 20, 'exit code 1'), span('ready', 20, null))
    const db = life('db', 'shop', span('ready', 0, null))
    expect(together([web, db]).map((one) => [one.status, one.reason])).toEqual([
      ['ready', null], ['failed', 'web: exit code 1'], ['ready', null],
    ])
    expect(together([life('x', 'p', span('ready', 0, 5), span('removed', 5, null))]).map((one) => one.status)).toEqual(['ready', 'removed'])
  })

  test('containers stand under their project', () => {
    const all = [life('web', 'shop'), life('db', 'shop'), life('alone', null)]
    expect(lines(all).map((one) => one.life?.name ?? `[${one.project}]`)).toEqual(['[shop]', 'web', 'db', 'alone'])
  })
})
