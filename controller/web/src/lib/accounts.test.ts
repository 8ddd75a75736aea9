import { expect, test } from 'vitest'
import type { User } from '../api/types'
import { browserName, lastAdmin, returned, whyNotScope, words } from './accounts'

const user = (name: string, role: string, disabled = false) => ({ name, role, disabled, tags: [], second_factor: false, created_at: '' }) as User

test('the last administrator who may sign in is known', () => {
  const admin = user('admin', 'admin')
  const bob = user('bob', 'admin')
  expect(lastAdmin([admin, user('anna', 'operator')], admin)).toBe(true)
  expect(lastAdmin([admin, bob], admin)).toBe(false)
  expect(lastAdmin([admin, { ...bob, disabled: true }], admin)).toBe(true)
  expect(lastAdmin([admin, { ...bob, disabled: true }], bob)).toBe(false)
})

test('a token may not do more than who makes it', () => {
  expect(whyNotScope('viewer', 'read')).toBe(false)
  expect(whyNotScope('viewer', 'operate')).toBe(true)
  expect(whyNotScope('operator', 'admin')).toBe(true)
  expect(whyNotScope('admin', 'admin')).toBe(false)
})

test('browsers are known by what they call themselves', () => {
  const webkit = 'AppleWebKit/537.36 (KHTML, like Gecko)'
  expect(browserName(`Mozilla/5.0 (X11; Linux x86_64) ${webkit} Chrome/140.0.0.0 Safari/537.36`)).toBe('Chrome, Linux')
  expect(browserName(`Mozilla/5.0 (Windows NT 10.0; Win64) ${webkit} Chrome/140.0 Safari/537.36 Edg/140.0`)).toBe('Edge, Windows')
  expect(browserName('Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0')).toBe('Firefox, Android')
  expect(browserName('Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15')).toBe('Safari, macOS')
  expect(browserName('curl/8.14.1')).toBe('curl')
  expect(browserName('something else')).toBe(null)
  expect(browserName(undefined)).toBe(null)
})

test('words are told apart by spaces and commas', () => {
  expect(words(' shop,  cellar\tarm64 ')).toEqual(['shop', 'cellar', 'arm64'])
})

test('what a provider sent back is handed in, and nothing else of the address', () => {
  expect(returned('?code=a%20b&state=c&iss=https%3A%2F%2Fid&session_state=x')).toEqual({ code: 'a b', state: 'c', iss: 'https://id' })
  expect(returned('?error=access_denied')).toEqual({ state: '', error: 'access_denied' })
})
