// Rows of a long list that are drawn again for another entry instead of being made anew, which takes several times as long.

/** Which drawn row stands for which entry. */
export class Slots {
  /** In the order of the page. */
  #slots = new Map<string, number>()
  #made = 0

  /**
   * From now on `keys` are drawn, in this order: an entry that was drawn before keeps its row, others take the rows that
   * have become free. The rows of `held` are left to nobody else: somebody is at them, and must not find another there.
   */
  draw(keys: readonly string[], held: readonly (string | undefined)[] = []): void {
    const wanted = new Set(keys)
    const free = [...this.#slots].filter(([key]) => !wanted.has(key) && !held.includes(key)).map(([, slot]) => slot)
    free.reverse()
    this.#slots = new Map(keys.map((key) => [key, this.#slots.get(key) ?? free.pop() ?? this.#made++]))
  }

  /** The row that stands for `key`. */
  of(key: string): number | undefined {
    return this.#slots.get(key)
  }
}
