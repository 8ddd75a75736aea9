import { expect, test } from 'vitest'
import { endless, spanName, tokenState } from './joining'

test('a join token is of use until it was used or has ended', () => {
  const now = Date.parse('2026-11-30T12:00:00Z')
  const later = '2026-11-30T12:00:01.000Z'
  expect(tokenState({ uses_left: 1, expires_at: later }, now)).toBe('open')
  expect(tokenState({ uses_left: 0, expires_at: later }, now)).toBe('used')
  expect(tokenState({ uses_left: 1, expires_at: '2026-11-30T12:00:00.000Z' }, now)).toBe('expired')
  expect(endless({ expires_at: later })).toBe(false)
  expect(endless({ expires_at: '9999-12-31T00:00:00Z' })).toBe(true)
})

test.each([['15m', '15 min'], ['24h', '24 h'], ['30d', '30 d']])('%s is shown as %s', (span, text) => {
  expect(spanName(span)).toBe(text)
})
