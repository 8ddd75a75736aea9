// Texts in the person's language. English is part of the page; every other catalogue is fetched when it is chosen.
import { en, type Key } from './en'

export type { Key }
export type Catalogue = Record<Key, string>

/** Languages there are catalogues for, in their own words. */
export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const
export type Language = keyof typeof LANGUAGES

const STORED = 'roadstead.language'
let catalogue = $state.raw<Catalogue>(en)
let language = $state<Language>('en')

/** The text of `key`, with `{names}` in it replaced. With `count` among the values, plural forms are chosen. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return fill(catalogue[key], values, language)
}

/** A text with its `{names}` replaced; `one|other` is chosen by `count`. */
export function fill(text: string, values: Record<string, string | number>, lang = 'en'): string {
  const count = values.count
  if (typeof count === 'number' && text.includes('|')) {
    const [one = '', other = ''] = text.split('|')
    text = inLanguage(lang).plurals.select(count) === 'one' ? one : other
  }
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name]
    if (value === undefined) return whole
    return typeof value === 'number' ? inLanguage(lang).numbers.format(value) : value
  })
}

const languages = new Map<string, { plurals: Intl.PluralRules; numbers: Intl.NumberFormat }>()

/** How a language counts; made once, since making it takes far longer than using it. */
function inLanguage(lang: string) {
  const known = languages.get(lang) ?? { plurals: new Intl.PluralRules(lang), numbers: new Intl.NumberFormat(lang) }
  languages.set(lang, known)
  return known
}

export function currentLanguage(): Language {
  return language
}

export async function useLanguage(wanted: Language): Promise<void> {
  catalogue = wanted === 'de' ? (await import('./de')).de : en
  language = wanted
  document.documentElement.lang = wanted
  localStorage.setItem(STORED, wanted)
}

/** The language chosen before, else the browser's first that there is a catalogue for. */
export async function restoreLanguage(): Promise<void> {
  const wanted = [localStorage.getItem(STORED), ...navigator.languages.map((tag) => tag.slice(0, 2))]
  const found = wanted.find((tag): tag is Language => tag !== null && tag in LANGUAGES)
  if (found && found !== 'en') await useLanguage(found)
}
