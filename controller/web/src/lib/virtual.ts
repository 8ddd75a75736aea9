// Which rows of a long list are worth drawing.

/** Lists up to this length are drawn whole. */
export const WHOLE = 60

/** Rows drawn beyond each edge. */
export const MARGIN = 8

/** The same while an answer is awaited: what is in sight is drawn first. */
export const HURRIED = 1

export interface Window {
  from: number
  to: number
  /** Pixels of the rows before and after. */
  above: number
  below: number
}

/**
 * The rows of `count`, each `height` pixels, that are to be seen when the list starts at `top` of the screen, and `margin`
 * of them beyond each edge.
 */
export function visible(count: number, height: number, top: number, screen: number, margin = MARGIN): Window {
  if (count <= WHOLE && margin >= MARGIN) return { from: 0, to: count, above: 0, below: 0 }
  const first = Math.floor(-top / height) - margin
  const from = Math.max(0, Math.min(count, first))
  const to = Math.max(from, Math.min(count, first + Math.ceil(screen / height) + 2 * margin + 1))
  return { from, to, above: from * height, below: (count - to) * height }
}
