import { describe, expect, test } from 'vitest'
import { changeOf, formOf } from './changes'
import { instance } from './samples'

describe('what a form changes of a host', () => {
  const before = formOf({ ...instance('nas'), name: 'nas', description: 'disks', environment: 'home', tags: ['cellar', 'arm64'], url: null })

  test('is nothing where nothing is another, whatever the order and spaces', () => {
    expect(changeOf(before, before)).toBeNull()
    expect(changeOf(before, { ...before, name: ' nas ', tags: 'arm64,  cellar cellar' })).toBeNull()
  })

  test('is what is another, and none where it was emptied', () => {
    const form = { ...before, name: 'nas-2', environment: '', tags: 'cellar, loud' }
    expect(changeOf(before, form)).toEqual({ name: 'nas-2', environment: null, tags: ['cellar', 'loud'] })
    expect(changeOf(before, { ...before, description: '', tags: '' })).toEqual({ description: '', tags: [] })
    expect(changeOf({ ...before, url: 'wss://a:1' }, before)).toEqual({ url: null })
  })
})
