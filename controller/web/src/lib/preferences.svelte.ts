// What a person chose about how things look; remembered by the browser.

export const THEMES = ['auto', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]
export type Layout = 'table' | 'cards'

class Preferences {
  #theme = $state<Theme>(stored('theme', THEMES) ?? 'auto')
  /** None: by the number of hosts. */
  #layout = $state<Layout | null>(stored('layout', ['table', 'cards'] as const))

  /** Whether a host's page shows its chart: until somebody decides, where there is room. */
  #trend = $state(stored('trend', ['open', 'closed'] as const) ?? (innerWidth > 860 ? 'open' : 'closed'))

  constructor() {
    this.#apply()
  }

  get theme(): Theme {
    return this.#theme
  }

  set theme(theme: Theme) {
    this.#theme = theme
    localStorage.setItem('roadstead.theme', theme)
    this.#apply()
  }

  get layout(): Layout | null {
    return this.#layout
  }

  set layout(layout: Layout | null) {
    this.#layout = layout
    if (layout) localStorage.setItem('roadstead.layout', layout)
  }

  get trend(): boolean {
    return this.#trend === 'open'
  }

  set trend(open: boolean) {
    // The page opens it, too, and that is nobody's decision.
    if (open === this.trend) return
    this.#trend = open ? 'open' : 'closed'
    localStorage.setItem('roadstead.trend', this.#trend)
  }

  #apply(): void {
    if (this.#theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = this.#theme
  }
}

function stored<T extends string>(name: string, choices: readonly T[]): T | null {
  const value = localStorage.getItem(`roadstead.${name}`)
  return choices.find((choice) => choice === value) ?? null
}

export const preferences = new Preferences()
