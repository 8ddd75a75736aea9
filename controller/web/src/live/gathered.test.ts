import { describe, expect, test } from 'vitest'
import { EVENTS, Gathered, ofContainers } from './gathered'

const instance = (id: string, name: string) => `{"id":"${id}","name":"${name}"}`

describe('what the stream has told', () => {
  test('is taken once, in its order', () => {
    const gathered = new Gathered()
    gathered.add('command', '1')
    gathered.add('event', '2')
    gathered.add('progress', '3')
    expect(gathered.take()).toEqual([['command', '1'], ['event', '2'], ['progress', '3']])
    expect(gathered.size).toBe(0)
  })

  test('has of each instance the latest, in the place of the first: its containers come after it', () => {
    const gathered = new Gathered()
    gathered.add('instance', instance('a', 'old'))
    gathered.add('containers', 'of a')
    gathered.add('instance', instance('b', 'b'))
    gathered.add('instance', instance('a', 'new'))
    const texts = gathered.take().map(([, text]) => text)
    expect(texts).toEqual([instance('a', 'new'), 'of a', instance('b', 'b')])
  })

  test('one that was removed and comes again comes after its removal', () => {
    const gathered = new Gathered()
    gathered.add('instance', instance('a', 'old'))
    gathered.add('removed', '{"instance":"a"}')
    gathered.add('instance', instance('a', 'again'))
    expect(gathered.take()).toEqual([['removed', '{"instance":"a"}'], ['instance', instance('a', 'again')]])
  })

  test('a whole view stands for all that is in it', () => {
    const gathered = new Gathered()
    gathered.add('instance', instance('a', 'old'))
    gathered.add('command', 'c')
    gathered.add('event', 'e')
    gathered.add('view', 'v')
    gathered.add('instance', instance('a', 'new'))
    expect(gathered.take()).toEqual([['event', 'e'], ['view', 'v'], ['instance', instance('a', 'new')]])
  })

  test('keeps the latest events, and only so many', () => {
    const gathered = new Gathered()
    for (let n = 0; n < EVENTS + 5; n += 1) gathered.add('event', String(n))
    const told = gathered.take()
    expect([told.length, told[0]?.[1], told.at(-1)?.[1]]).toEqual([EVENTS, '5', String(EVENTS + 4)])
  })
})

test('whose containers a text tells of is known without reading it', () => {
  expect(ofContainers('containers', '{"instance":"nas-1","whole":false,"upsert":[')).toBe('nas-1')
  expect(ofContainers('figures', '{"instance":"nas-1","samples":[')).toBe('nas-1')
  expect(ofContainers('instance', '{"instance":"nas-1"}')).toBeNull()
  expect(ofContainers('containers', '{"whole":false,"instance":"nas-1"}')).toBeNull()
})
