// The list of events of a page: what was read, with what the stream tells in front of it. Pure.
import type { Event } from '../api/types'

export interface Recent {
  /** Newest first. */
  list: readonly Event[]
  /** The newest event that is known of, whether it fits the filter or not. */
  covered: number
  /** The cursor of what is older; none if nothing is. */
  next: number | null
}

/**
 * `recent` with those of `told` (newest first, `kept` of them at most) that are newer and fit, `most` in all. Where more
 * has happened than `told` holds, what was read before no longer follows on it: it is left to be read again.
 */
export function withTold(recent: Recent, told: readonly Event[], fits: (one: Event) => boolean, kept: number, most: number): Recent {
  const covered = told[0]?.id ?? 0
  if (covered <= recent.covered) return recent
  const end = told.findIndex((one) => one.id <= recent.covered)
  const newer = end < 0 ? told : told.slice(0, end)
  const missed = end < 0 && told.length >= kept
  const fresh = newer.filter(fits)
  if (fresh.length === 0 && !missed) return { ...recent, covered }
  const all = missed ? fresh : [...fresh, ...recent.list]
  const list = all.slice(0, most)
  const last = list.at(-1)?.id ?? null
  const next = missed ? (newer.at(-1)?.id ?? null) : recent.next
  return { list, covered, next: all.length > most ? last : next }
}
