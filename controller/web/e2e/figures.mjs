// The figures of docs/benchmarks.md about the UI: a thousand simulated hosts with fifty containers each on a real
// controller, in Chromium. Not a test: `npm run figures`, with ROADSTEAD_BINARIES naming optimised programs
// (roadstead-controller, roadstead-simulator). MINUTES of changes, 10 if not said; HOSTS, 1,000.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { launch, open, signIn } from './browser.mjs'
import { firstRow, heap, keystrokes, noteFirstRow, quantile, scrollThrough } from './measure.mjs'
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
  const words = ['--api', controller.url, '--password', PASSWORD, '--keys', join(parts.folder, 'keys')]
  const rates = ['--agents', String(HOSTS), '--containers', '50', '--ramp', '30', '--events', String(CHANGES)]
  fleet = spawn(simulator, [...words, ...rates], { stdio: ['ignore', 'ignore', 'pipe'] })
  let told = ''
  fleet.stderr.on('data', (bytes) => (told = (told + bytes).slice(-4000)))
  await until('every simulated host is live', () => told.includes(`${HOSTS} of ${HOSTS} live`), 300)
  say(`fleet: ${told.trim().split('\n').pop()}`)

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
  say(`fleet: ${told.trim().split('\n').pop()}`)
  if (problems.length > 0) say(`problems: ${problems.join('; ')}`)
} finally {
  fleet?.kill('SIGKILL')
  await browser.close()
  await parts.end()
}
