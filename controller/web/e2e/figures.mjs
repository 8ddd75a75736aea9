// The figures of docs/benchmarks.md about the UI: a thousand simulated hosts with fifty containers each on a real
// controller, in Chromium. Not a test: `npm run figures`, with ROADSTEAD_BINARIES naming optimised programs
// (roadstead-controller, roadstead-simulator). MINUTES of changes, 10 if not said; HOSTS, 1,000.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { launch, open, signIn } from './browser.mjs'
import { countLongTasks, eventsUntilShown, firstRow, heap, keystrokes, noteFirstRow, quantile, scrollThrough } from './measure.mjs'
import { binaries, Parts, PASSWORD, until } from './parts.mjs'

const MINUTES = Number(process.env.MINUTES ?? 10)
const HOSTS = Number(process.env.HOSTS ?? 1000)
const CHANGES = Number(process.env.CHANGES ?? 500)
const say = (words) => process.stdout.write(`${words}\n`)

const parts = new Parts()
const browser = await launch()
const simulator = process.env.ROADSTEAD_SIMULATOR ?? join(binaries, 'roadstead-simulator')
let fleet
try {
  const controller = await parts.controller()
  let told = ''
  /** The fleet, with so many changes a second. */
  const begin = async (changes) => {
    const words = ['--api', controller.url, '--password', PASSWORD, '--keys', join(parts.folder, 'keys')]
    const rates = ['--agents', String(HOSTS), '--containers', '50', '--ramp', '20', '--events', String(changes)]
    fleet = spawn(simulator, [...words, ...rates], { stdio: ['ignore', 'ignore', 'pipe'] })
    told = ''
    fleet.stderr.on('data', (bytes) => (told = (told + bytes).slice(-4000)))
    await until('every simulated host is live', () => told.includes(`${HOSTS} of ${HOSTS} live`), 300)
    say(`fleet with ${changes} changes a second: ${told.trim().split('\n').pop()}`)
  }
  const show = async (page, what) => {
    await page.goto('/events')
    await page.locator('li[data-row]').first().waitFor()
    await page.waitForTimeout(3000)
    const times = await page.evaluate(eventsUntilShown, 15_000)
    if (times.length === 0) throw new Error('no event was shown')
    say(`${what}: ${times.length} events on the screen, after they happened p50 ${quantile(times, 0.5)}, p95 ${quantile(times, 0.95)}, p99 ${quantile(times, 0.99)} ms`)
  }
  await begin(CHANGES)

  const { page, problems } = await open(browser, controller.url)
  await page.addInitScript(noteFirstRow)
  await signIn(page, PASSWORD)
  const paints = []
  for (let turn = 0; turn < 5; turn += 1) {
    await page.goto('/')
    paints.push(await firstRow(page))
  }
  say(`first host on the screen after the navigation: ${paints.map(Math.round).join(', ')} ms`)
  await page.getByText((HOSTS * 50).toLocaleString('en-GB'), { exact: true }).first().waitFor()
  await page.waitForTimeout(5000)

  await page.evaluate(countLongTasks)
  const texts = ['s', 'si', 'sim', '9', '99', '999', '9', '']
  const times = await keystrokes(page, [...texts, ...texts, ...texts, ...texts, ...texts])
  say(`filter keystroke, ${times.length} of them: p50 ${quantile(times, 0.5).toFixed(0)}, p95 ${quantile(times, 0.95).toFixed(0)}, worst ${Math.max(...times).toFixed(0)} ms`)
  const scrolled = await scrollThrough(page, 600)
  say(`scrolling: ${scrolled.frames} steps of 600 pixels, ${scrolled.blank} with a place without a row, longest step ${scrolled.longest.toFixed(0)} ms`)

  const session = await page.context().newCDPSession(page)
  const heaps = []
  for (let half = 0; half <= MINUTES * 2; half += 1) {
    heaps.push(await heap(session))
    if (half < MINUTES * 2) await page.waitForTimeout(30_000)
  }
  say(`heap every 30 s over ${MINUTES} min of ${CHANGES} changes a second: ${heaps.map(Math.round).join(' ')} MiB`)
  const long = await page.evaluate(() => window.longTasks)
  say(`long tasks meanwhile: ${long.length} of more than 50 ms, ${long.filter((one) => one > 100).length} of more than 100 ms, longest ${Math.round(Math.max(0, ...long))} ms`)
  const bytes = await page.evaluate(async () => (await (await fetch('/api/instances')).text()).length)
  say(`the list of instances alone: ${bytes} bytes`)
  await show(page, `${CHANGES} changes a second`)
  say(`fleet: ${told.trim().split('\n').pop()}`)
  const gone = new Promise((resolve) => fleet.once('exit', resolve))
  fleet.kill('SIGKILL')
  await gone
  await begin(5)
  await show(page, '5 changes a second')
  if (problems.length > 0) say(`problems: ${problems.join('; ')}`)
} finally {
  fleet?.kill('SIGKILL')
  await browser.close()
  await parts.end()
}
