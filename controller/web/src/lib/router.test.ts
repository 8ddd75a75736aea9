import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

/** An address bar, as far as the router needs one. */
function addressBar() {
  const told = new Map<string, () => void>()
  const location = { pathname: '/', search: '' }
  const put = (_state: unknown, _title: string, href: string) => {
    const to = new URL(href, 'http://here')
    location.pathname = to.pathname
    location.search = to.search
  }
  const history = { replaceState: vi.fn(put), pushState: vi.fn(put) }
  vi.stubGlobal('location', location)
  vi.stubGlobal('history', history)
  vi.stubGlobal('scrollTo', () => undefined)
  vi.stubGlobal('addEventListener', (kind: string, act: () => void) => told.set(kind, act))
  return { location, history, tell: (kind: string) => told.get(kind)?.() }
}

describe('what is typed', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.resetModules()
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })
  const fresh = async () => {
    const bar = addressBar()
    const { router } = await import('./router.svelte')
    return { bar, router }
  }

  test('is asked for at once, and in the address bar once, when no key has followed for a moment', async () => {
    const { bar, router } = await fresh()
    for (const q of ['n', 'na', 'nas']) {
      router.typed({ q })
      vi.advanceTimersByTime(100)
    }
    expect(router.query.get('q')).toBe('nas')
    expect(bar.location.search).toBe('')
    vi.advanceTimersByTime(200)
    expect(bar.location.search).toBe('?q=nas')
    expect(bar.history.replaceState).toHaveBeenCalledTimes(1)
  })

  test('is not lost by whatever comes before that moment is over', async () => {
    const { bar, router } = await fresh()
    router.typed({ q: 'nas' })
    router.set({ show: 'running' })
    expect(bar.location.search).toBe('?q=nas&show=running')
    router.typed({ q: 'n' })
    router.go('/events')
    expect(bar.history.replaceState).toHaveBeenLastCalledWith(null, '', '/?q=n&show=running')
    router.typed({ q: 'x' })
    bar.tell('pagehide')
    expect(bar.location.search).toBe('?q=x')
  })

  test('gives way when somebody goes back', async () => {
    const { bar, router } = await fresh()
    router.typed({ q: 'nas' })
    bar.location.search = '?q=before'
    bar.tell('popstate')
    vi.advanceTimersByTime(1000)
    expect([router.query.get('q'), bar.location.search]).toEqual(['before', '?q=before'])
  })
})
