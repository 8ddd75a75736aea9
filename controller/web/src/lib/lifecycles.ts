// Lifecycles as coloured spans on a line of time. Pure.
import type { Life, LifeSpan } from '../api/types'

export const STATUSES = ['failed', 'installing', 'ready', 'stopped', 'removed'] as const
export type Status = (typeof STATUSES)[number]

/** A piece of the line: its place in percent, and what it stands for. */
export interface Piece {
  from: number
  width: number
  status: Status
  /** Why, where there is one span; how many spans it stands for, where they are too short to be told apart. */
  reason: string | null
  count: number
  since: string
  until: string | null
}

/** Shorter pieces than this, in percent, are drawn as one. */
const SHORTEST = 0.35

const known = (status: string): Status => STATUSES.find((one) => one === status) ?? 'stopped'

/** The worse of two: what is drawn where there is no room for both. */
const worse = (one: Status, other: Status): Status => (STATUSES.indexOf(one) <= STATUSES.indexOf(other) ? one : other)

/** The spans on a line from `from` to `to` (milliseconds). */
export function pieces(spans: readonly LifeSpan[], from: number, to: number): Piece[] {
  const whole = Math.max(1, to - from)
  const drawn: Piece[] = []
  for (const span of spans) {
    const begin = Math.max(from, Date.parse(span.from))
    const end = Math.min(to, span.until ? Date.parse(span.until) : to)
    if (end < begin || end <= from || begin >= to) continue
    const piece: Piece = {
      from: ((begin - from) / whole) * 100,
      width: ((end - begin) / whole) * 100,
      status: known(span.status),
      reason: span.reason ?? null,
      count: 1,
      since: span.from,
      until: span.until ?? null,
    }
    const last = drawn[drawn.length - 1]
    if (last && last.width < SHORTEST && piece.width < SHORTEST) {
      last.width = piece.from + piece.width - last.from
      last.status = worse(last.status, piece.status)
      last.reason = null
      last.count += piece.count
      last.until = piece.until
    } else drawn.push(piece)
  }
  return drawn
}

/** What a project was: at each moment the first of failed, installing, ready and stopped that one of its containers was. */
export function together(lives: readonly Life[]): LifeSpan[] {
  const moments = [...new Set(lives.flatMap((life) => life.spans.map((span) => span.from)))]
  const times = moments.map((text) => ({ text, at: Date.parse(text) })).sort((one, other) => one.at - other.at)
  const joined: LifeSpan[] = []
  for (const { text, at } of times) {
    let found: LifeSpan | null = null
    let of: Life | null = null
    for (const life of lives) {
      const span = life.spans.find((one) => Date.parse(one.from) <= at && (!one.until || Date.parse(one.until) > at))
      if (!span || span.status === 'removed') continue
      if (!found || STATUSES.indexOf(known(span.status)) < STATUSES.indexOf(known(found.status))) [found, of] = [span, life]
    }
    const status = found?.status ?? 'removed'
    const reason = found?.reason && of ? `${of.name}: ${found.reason}` : null
    const last = joined[joined.length - 1]
    if (last && last.status === status) continue
    if (last) last.until = text
    joined.push({ status, reason, cause: null, from: text, until: null })
  }
  return joined
}

export interface Line {
  key: string
  /** Of a project: its containers stand under it. */
  project: string | null
  life: Life | null
  spans: LifeSpan[]
}

/** A line for each container, under one for its project. */
export function lines(lives: readonly Life[]): Line[] {
  const projects = new Map<string, Life[]>()
  for (const life of lives) {
    const list = projects.get(life.project ?? '')
    if (list) list.push(life)
    else projects.set(life.project ?? '', [life])
  }
  return [...projects].flatMap(([project, members]): Line[] => [
    ...(project ? [{ key: `project ${project}`, project, life: null, spans: together(members) }] : []),
    ...members.map((life) => ({ key: life.full_id, project: project || null, life, spans: life.spans })),
  ])
}
