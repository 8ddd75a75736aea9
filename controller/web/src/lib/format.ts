// Figures and times as people read them. Pure: what depends on the time takes `now`.

// Made once: to make one takes a hundred times as long as to use it, and a list has hundreds of moments.
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' })

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `1536` → `1.5 KiB`. */
export function bytes(count: number): string {
  let unit = 0
  let value = count
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** Mebibytes, as the API has memory. */
export const mebibytes = (count: number): string => bytes(count * 1024 * 1024)

/** `12.34` → `12 %`, `1.26` → `1.3 %`. */
export const percent = (value: number): string => `${value >= 10 ? Math.round(value) : value.toFixed(1)} %`

/** A length of time in its two largest units: `3 d 4 h`, `59 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole < 600 ? ` ${whole % 60} s` : ''}`
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`
}

/** Seconds between a time of the API and `now` (milliseconds); never negative. */
export const age = (at: string, now: number): number => Math.max(0, (now - Date.parse(at)) / 1000)

/** `sha256:0123456789ab…` → its first twelve hex digits. */
export function digest(text: string | null | undefined): string {
  return text ? plain(text.replace(/^sha256:/, '').slice(0, 12)) : '–'
}

/** The time of day, to the second. */
export const clock = (milliseconds: number): string => CLOCK.format(milliseconds)

/** Date and time, to the second. */
export const moment = (at: string): string => {
  const time = Date.parse(at)
  return Number.isNaN(time) ? plain(at) : MOMENT.format(time)
}

/** Text with its control and direction-changing characters made visible: names come from hosts, not from us. */
export const plain = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\u00b7')
