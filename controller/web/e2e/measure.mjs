// What is measured of a page full of hosts, the same way in the volume test and for docs/benchmarks.md.

/** Runs in the page before its scripts: notes when the first host is on the screen, counted from the navigation. */
export function noteFirstRow() {
  const look = () => {
    if (!document.querySelector('[data-row] [data-open]')) return
    observer.disconnect()
    requestAnimationFrame(() => setTimeout(() => (window.firstRowAt = performance.now()), 0))
  }
  const observer = new MutationObserver(look)
  observer.observe(document, { childList: true, subtree: true })
}

/** Milliseconds from the navigation to the first host on the screen. */
export async function firstRow(page) {
  await page.waitForFunction(() => window.firstRowAt !== undefined, undefined, { timeout: 60_000 })
  return page.evaluate(() => window.firstRowAt)
}

/** Milliseconds from each keystroke in the filter until what it found is on the screen. */
export async function keystrokes(page, texts) {
  const times = []
  for (const text of texts) {
    times.push(
      await page.evaluate(async (value) => {
        const input = document.querySelector('[data-filter]')
        const began = performance.now()
        input.value = value
        input.dispatchEvent(new Event('input', { bubbles: true }))
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)))
        return performance.now() - began
      }, text),
    )
  }
  return times
}

/** Scrolls through the whole list by `step` pixels a frame; counts frames, and those that showed a place without a row. */
export function scrollThrough(page, step) {
  return page.evaluate(async (by) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve))
    const end = document.documentElement.scrollHeight - innerHeight
    const counted = { frames: 0, blank: 0, longest: 0 }
    let last = performance.now()
    for (let y = 0; y <= end; y += by) {
      scrollTo(0, y)
      await frame()
      // The next frame is the first that shows what was drawn for this place.
      await frame()
      const now = performance.now()
      counted.longest = Math.max(counted.longest, now - last)
      last = now
      counted.frames += 1
      const body = document.querySelector('tbody')?.getBoundingClientRect()
      if (!body) continue
      const points = [0.3, 0.5, 0.7, 0.95].map((part) => innerHeight * part).filter((at) => at > body.top && at < body.bottom - 2)
      const blank = points.some((at) => !document.elementFromPoint(innerWidth / 3, at)?.closest('tr[data-row], tr.heading, thead, header'))
      if (blank) counted.blank += 1
    }
    scrollTo(0, 0)
    return counted
  }, step)
}

/** Runs in the page: counts what kept it from answering, from now on. */
export function countLongTasks() {
  window.longTasks = []
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((one) => one.duration))).observe({ type: 'longtask' })
}

/**
 * Runs in the page of events: milliseconds from each event's own time until it stands on the screen, for `time`
 * milliseconds. The way to the controller and the commit are in it.
 */
export function eventsUntilShown(time) {
  const times = []
  const observer = new MutationObserver((changes) => {
    const rows = changes.flatMap((change) => [...change.addedNodes]).filter((one) => one instanceof HTMLLIElement)
    const moments = rows.map((row) => row.querySelector('time')?.dateTime).filter(Boolean)
    requestAnimationFrame(() => setTimeout(() => times.push(...moments.map((at) => Date.now() - Date.parse(at))), 0))
  })
  observer.observe(document.body, { childList: true, subtree: true })
  return new Promise((resolve) => setTimeout(() => {
    observer.disconnect()
    resolve(times)
  }, time))
}

/** The heap of the page after garbage collection, in MiB. */
export async function heap(session) {
  await session.send('HeapProfiler.collectGarbage')
  return (await session.send('Runtime.getHeapUsage')).usedSize / 2 ** 20
}

export const quantile = (values, part) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]
