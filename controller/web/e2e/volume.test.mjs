// The UI with a thousand hosts and 50,000 containers, told by a stream that the page itself makes up: what is measured
// is the page. Figures are printed; only far outliers fail, since machines differ.
import assert from 'node:assert/strict'
import { get } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { launch, LIMIT, look, open, SHOTS, signIn } from './browser.mjs'
import { heap, keystrokes, scrollThrough } from './measure.mjs'
import { Parts, PASSWORD } from './parts.mjs'

const parts = new Parts()
let browser

after(async () => {
  await browser?.close()
  await parts.end()
})

/** Runs in the page, before its scripts: an EventSource that tells of a made-up fleet. */
function madeUpFleet() {
  const at = new Date().toISOString()
  const zero = { total: 50, created: 0, running: 45, paused: 0, restarting: 0, removing: 0, exited: 5, dead: 0, unknown: 0, unhealthy: 0 }
  const link = { state: 'live', since: at, age_seconds: 1, direction: 'outbound', remote: '192.0.2.1:5' }
  const engine = { reachable: true, since: at, cpus: 8, memory_bytes: 2 ** 34, version: '28.0' }
  const host = (n) => ({
    id: `id-${n}`, name: `host-${n}`, description: '', tags: [`rack-${n % 20}`], environment: n % 3 ? 'prod' : 'test',
    load: { cpu_percent: 50, memory_mb: 900, at, age_seconds: 0 }, projects: ['project-0', 'project-1'],
    health: n % 50 ? 'healthy' : 'unhealthy', health_reason: 'made up', link, engine, created_at: at, last_seen: at,
    last_seen_age_seconds: 0, policy: ['view', 'sync', 'lifecycle'], abilities: [], containers: zero, stale: false, as_of: at,
  })
  const container = (n, m) => ({
    id: `${n}-${m}`, full_id: `${n}-${m}`, name: `shop_web_${m}`, image: 'registry.example.org/shop:1', image_id: 'sha256:1', command: 'run',
    status: 'Up', state: m < 45 ? 'running' : 'exited', health: 'none', created_at: at, started_at: at, oom_killed: false, ports: [],
    networks: ['shop'], mounts: [], compose_project: `project-${m % 5}`, compose_service: 'web', labels: {}, labels_truncated: false,
    restart_policy: 'always', cpu_percent: 1, memory_mb: 20, figures: { at, age_seconds: 0 },
  })
  const numbers = (count) => Array.from({ length: count }, (_, n) => n)
  // What is made up here is told in the page itself.
  window.Worker = undefined
  window.EventSource = class extends EventTarget {
    constructor() {
      super()
      window.tell = (kind, data) => this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(data) }))
      setTimeout(() => {
        const text = JSON.stringify({
          at: new Date().toISOString(),
          instances: numbers(1000).map(host),
          containers: [],
          commands: [],
          version: 'one',
        })
        window.toldAt = performance.now()
        this.dispatchEvent(new MessageEvent('view', { data: text }))
      }, 50)
    }
    close() {}
  }
  /** `count` changes, spread over hosts. */
  window.change = (count) => {
    for (let n = 0; n < count; n += 1) {
      const of = Math.floor(Math.random() * 1000)
      const one = container(of, Math.floor(Math.random() * 50))
      const running = 40 + Math.floor(Math.random() * 10)
      window.tell('instance', { ...host(of), containers: { ...zero, running, exited: 50 - running } })
      window.tell('containers', { instance: `id-${of}`, whole: false, upsert: [{ ...one, state: 'restarting' }], remove: [] })
    }
  }
}

/** The goal for everything that the first view needs, compressed. */
const FIRST_VIEW = 150 * 1024

test('the first view is small', LIMIT, async (context) => {
  const controller = await parts.controller({ data: 'small' })
  const size = (path) =>
    new Promise((resolve, reject) => {
      const asked = get(new URL(path, controller.url), { headers: { 'accept-encoding': 'gzip' } }, (answer) => {
        const chunks = []
        answer.on('data', (bytes) => chunks.push(bytes))
        answer.on('end', () => resolve({ zipped: answer.headers['content-encoding'], bytes: Buffer.concat(chunks) }))
      })
      asked.on('error', reject)
    })
  const front = await size('/')
  const html = (front.zipped === 'gzip' ? gunzipSync(front.bytes) : front.bytes).toString()
  const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((found) => found[1])
  assert(files.some((file) => file.endsWith('.js')) && files.some((file) => file.endsWith('.css')), html)
  let sum = front.bytes.length
  const scripts = []
  for (const file of files) {
    const { zipped, bytes } = await size(file)
    sum += bytes.length
    if (file.endsWith('.js')) scripts.push((zipped === 'gzip' ? gunzipSync(bytes) : bytes).toString())
  }
  // The live stream's worker is needed for the first picture too.
  const [worker] = /\/assets\/feed\.worker-[\w-]+\.js/.exec(scripts.join('\n')) ?? []
  assert(worker, 'the worker of the live stream is not among the files')
  sum += (await size(worker)).bytes.length
  context.diagnostic(`first view, gzip: ${(sum / 1024).toFixed(1)} kB in ${files.length + 2} files`)
  assert(sum <= FIRST_VIEW, `${sum} bytes`)
})

test('where the worker of the live stream cannot be had, the page receives it itself', LIMIT, async () => {
  browser ??= await launch()
  const controller = await parts.controller({ data: 'alone' })
  for (const without of [true, false]) {
    const { page, context, problems } = await open(browser, controller.url)
    let asked = 0
    await page.route('**/feed.worker-*.js', (route) => {
      asked += 1
      return without ? route.fulfill({ status: 404 }) : route.continue()
    })
    await signIn(page, PASSWORD)
    await page.locator('.live', { hasText: 'Live' }).waitFor()
    assert.equal(asked, 1)
    const name = `told-${without ? 'here' : 'beside'}`
    const answer = await page.request.post('/api/instances', { data: { name }, headers: { origin: controller.url } })
    assert.equal(answer.status(), 201)
    await page.getByRole('article', { name }).waitFor()
    assert.deepEqual(problems, [])
    await context.close()
  }
})

test('1,000 hosts with 50,000 containers', LIMIT, async (context) => {
  browser ??= await launch()
  const controller = await parts.controller()
  const { page, problems } = await open(browser, controller.url)
  await page.addInitScript(madeUpFleet)
  await signIn(page, PASSWORD)
  await page.getByRole('link', { name: 'host-0', exact: true }).waitFor()
  const first = await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now() - window.toldAt))))
  context.diagnostic(`first rows at most ${Math.round(first)} ms after the view came`)

  const drawn = await page.locator('tbody tr[data-row]').count()
  assert(drawn < 100, `${drawn} rows are drawn; only those in sight should be`)
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight))
  await page.getByRole('link', { name: 'host-999', exact: true }).waitFor()
  await page.evaluate(() => scrollTo(0, 0))
  const scrolled = await scrollThrough(page, 600)
  context.diagnostic(`scrolling: ${scrolled.frames} steps of 600 pixels, ${scrolled.blank} with a place without a row`)
  assert.equal(scrolled.blank, 0)

  const times = await keystrokes(page, ['h', 'ho', 'host-9', 'host-99', 'host-999', 'host-9', ''])
  context.diagnostic(`a filter keystroke is on the screen after ${times.map(Math.round).join(', ')} ms`)
  assert(Math.max(...times) < 1000)

  await page.screenshot({ path: join(SHOTS, 'thousand-hosts.png') })
  // Order, groups and filters are in the address bar; the choice of rows or cards is the person's, and stays.
  await page.getByRole('button', { name: 'Memory' }).click()
  assert.match(page.url(), /sort=memory/)
  await page.getByLabel('Group by').selectOption('environment')
  await page.locator('tr.heading', { hasText: 'prod' }).waitFor()
  await page.getByLabel('Tag', { exact: true }).selectOption('rack-7')
  await page.getByText('50 of 1,000 hosts').waitFor()
  await page.reload()
  await page.getByText('50 of 1,000 hosts').waitFor()
  await page.locator('tr.heading', { hasText: 'test' }).waitFor()
  assert.equal(await page.getByRole('columnheader', { name: 'Memory' }).getAttribute('aria-sort'), 'ascending')
  await page.getByRole('button', { name: 'Cards' }).click()
  await page.getByRole('article').first().waitFor()
  await page.reload()
  await page.getByRole('article').first().waitFor()
  await page.getByRole('button', { name: 'Table' }).click()
  await page.goto('/?q=host-99')
  await page.getByRole('link', { name: 'host-999', exact: true }).waitFor()
  await look(page, 'eleven-of-thousand', problems)
  await page.goto('/')
  await page.getByRole('link', { name: 'host-0', exact: true }).waitFor()
  const session = await page.context().newCDPSession(page)
  await page.evaluate(() => window.change(500))
  const before = await heap(session)
  const busy = await page.evaluate(async () => {
    const began = performance.now()
    let spent = 0
    for (let second = 0; second < 10; second += 1) {
      const start = performance.now()
      window.change(500)
      await new Promise((resolve) => setTimeout(resolve, 0))
      spent += performance.now() - start
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 1000 - (performance.now() - start))))
    }
    return (spent / (performance.now() - began)) * 100
  })
  const after = await heap(session)
  context.diagnostic(`5,000 changes in 10 s: ${Math.round(busy)} % of the time spent taking them in; heap ${before.toFixed(0)} → ${after.toFixed(0)} MiB`)
  await page.evaluate(() => window.tell('view', { at: new Date().toISOString(), instances: [], containers: [], commands: [], version: 'another' }))
  await page.getByText('The controller is another now').waitFor()
  assert(after < before * 1.3 + 10, 'the page keeps what it should forget')
  assert.deepEqual(problems, [])
})
