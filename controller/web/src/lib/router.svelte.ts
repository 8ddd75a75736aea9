// Which page is shown: what is in the address bar. Filters live in its query; one that is being typed gets there a moment later.

import { type Page, pageAt } from './paths'

export { paths, type Tab, TABS } from './paths'

/** How long no key follows, in milliseconds, until what was typed is put into the address bar. */
const TYPED = 250

class Router {
  #path = $state(location.pathname)
  #search = $state(location.search)
  /** Will bring the address bar up to date; none if it is. */
  #behind: ReturnType<typeof setTimeout> | undefined

  readonly page: Page = $derived(pageAt(this.#path))
  readonly query: URLSearchParams = $derived(new URLSearchParams(this.#search))

  constructor() {
    addEventListener('popstate', () => this.#read())
    addEventListener('pagehide', () => this.#catchUp())
  }

  get path(): string {
    return this.#path
  }

  go(href: string): void {
    this.#catchUp()
    history.pushState(null, '', href)
    this.#read()
    scrollTo(0, 0)
  }

  /** Shows `href` in the place of this page: going back does not come here again. */
  replace(href: string): void {
    history.replaceState(null, '', href)
    this.#read()
  }

  /** Changes filters in the address bar; empty ones are taken out. Does not add to the history. */
  set(values: Record<string, string | null>): void {
    this.#search = this.#with(values)
    this.#write()
  }

  /**
   * The same for what is being typed: shown at once, and in the address bar when no key has followed for a moment. Chromium
   * takes some 10 ms for each change of it, and Safari refuses more than a hundred in half a minute.
   */
  typed(values: Record<string, string>): void {
    this.#search = this.#with(values)
    clearTimeout(this.#behind)
    this.#behind = setTimeout(() => this.#catchUp(), TYPED)
  }

  #with(values: Record<string, string | null>): string {
    const query = new URLSearchParams(this.#search)
    for (const [name, value] of Object.entries(values)) {
      if (value === null || value === '') query.delete(name)
      else query.set(name, value)
    }
    const search = query.toString()
    return search ? `?${search}` : ''
  }

  #catchUp(): void {
    if (this.#behind !== undefined) this.#write()
  }

  #write(): void {
    this.#upToDate()
    history.replaceState(null, '', this.#path + this.#search)
  }

  #upToDate(): void {
    clearTimeout(this.#behind)
    this.#behind = undefined
  }

  /** For `onclick` at the root: links within the UI change the page without loading it anew. */
  readonly follow = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return
    const link = (event.target as Element | null)?.closest?.('a')
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return
    if (link.pathname.startsWith('/api/')) return
    event.preventDefault()
    this.go(link.pathname + link.search)
  }

  #read(): void {
    this.#upToDate()
    this.#path = location.pathname
    this.#search = location.search
  }
}

export const router = new Router()
