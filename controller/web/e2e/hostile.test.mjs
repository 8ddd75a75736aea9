// Texts that hosts, images and people make up: HTML, quotes, control characters, text that runs from right to left,
// 4 kB without a space. Told by a stream and answers that the test makes up, since no engine takes such names. They are
// shown as text, do nothing, and break no page.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { launch, LIMIT, look, open, signIn } from './browser.mjs'
import { Parts, PASSWORD } from './parts.mjs'

const parts = new Parts()
let browser

after(async () => {
  await browser?.close()
  await parts.end()
})

const HTML = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`
const TEXTS = [HTML, `"'\`{{7*7}}\${7*7}</td></table>`, '\u0000\u0007\u001b[31mred\r\n\tnext', '\u202egnp.exe\u2066\u05d0\u05d1\u05d2 \u0627\u0644\u0639', 'x'.repeat(4096)]
const at = new Date().toISOString()
const id = (n) => String(n).repeat(64).slice(0, 64)

function fleet() {
  const zero = { total: TEXTS.length, created: 0, running: TEXTS.length, paused: 0, restarting: 0, removing: 0, exited: 0, dead: 0, unknown: 0, unhealthy: 1 }
  const instances = TEXTS.map((text, n) => ({
    id: `host-${n}`, name: text, description: text, tags: [text], environment: text, version: text, url: null,
    health: 'unhealthy', health_reason: text, link: { state: 'live', since: at, age_seconds: 1, direction: 'outbound', remote: text, reason: text },
    engine: { reachable: false, reason: text, since: at, cpus: 8, memory_bytes: 2 ** 34, version: text, api_version: text, os: text },
    created_at: at, last_seen: at, last_seen_age_seconds: 0, policy: ['view', 'sync', 'lifecycle'], abilities: [text], key: text,
    containers: zero, load: { cpu_percent: 5, memory_mb: 100, at, age_seconds: 0 }, projects: TEXTS, stale: false, as_of: at, as_of_age_seconds: 0, latency_ms: 1,
  }))
  return { at, version: '1', instances, containers: [], commands: TEXTS.map(command) }
}

const containers = () =>
  TEXTS.map((text, m) => ({
    id: id(m).slice(0, 12), full_id: id(m), name: text, image: text, image_id: text, command: text, status: text, state: 'running', health: 'healthy',
    created_at: at, started_at: at, oom_killed: false, ports: [{ host_ip: text, public: 80, private: 80, protocol: text }], networks: [text],
    mounts: [text], compose_project: text, compose_service: text, labels: { [text]: text, 'api.token': text }, labels_truncated: false,
    restart_policy: text, cpu_percent: 1, memory_mb: 20, figures: { at, age_seconds: 0 },
    lifecycle: { status: 'failed', reason: text, cause: 'exit', since: at },
  }))

const command = (text, n) => ({
  id: `00000000-0000-7000-8000-00000000000${n}`, instance: 'host-0', work: { work: 'sync', project: text, services: [], strategy: null, verify_secs: 60 },
  state: 'failed', ended: true, issued_by: text, issued_at: at, age_seconds: 0, queue_until: null, deadline_secs: 60, sent_at: at, started_at: at, ended_at: at,
  cancel_requested: false, reason: text,
  outcome: { outcome: 'failed', reason: text, services: [{ service: text, image: text, before: text, after: text, result: 'failed', reason: text, log_tail: TEXTS }] },
})

/** Runs in the page before its scripts: a stream that tells what it is given. */
function madeUp(view, lines, ended) {
  // What is made up here is told in the page itself.
  window.Worker = undefined
  window.EventSource = class extends EventTarget {
    constructor(path) {
      super()
      const tell = (kind, data) => this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(data) }))
      setTimeout(() => {
        if (!path.includes('/log')) return tell('view', view)
        for (const line of lines) tell('line', line)
        tell('end', ended)
      }, 20)
    }
    close() {}
  }
}

function answers() {
  const steps = TEXTS.map((text, place) => ({ place, batch: place, instance: `host-${place}`, name: text, project: text, state: 'failed', command: id(0), reason: text }))
  const summary = {
    id: '00000000-0000-7000-8000-000000000009', state: 'failed', ended: true, issued_by: TEXTS[0], issued_at: at, age_seconds: 1, ended_at: at, batch_size: 1,
    stop_on_failure: true, queue_seconds: null, stopped: TEXTS[0], projects: [TEXTS[0]],
    counts: { total: 5, waiting: 0, queued: 0, running: 0, succeeded: 0, failed: 5, skipped: 0 },
  }
  const events = TEXTS.map((text, n) => ({
    id: n + 1, instance: `host-${n}`, kind: 'container', at, age_seconds: 0, received_at: at,
    what: { kind: 'container', id: id(n), name: text, image: text, action: text, attributes: { exitCode: text }, inferred: true },
  }))
  const entries = TEXTS.map((text, n) => ({ id: n, at, who: text, address: text, what: text, target: text, result: 'refused', detail: text }))
  const spans = (text) => [{ status: 'failed', reason: text, cause: 'exit', from: at, until: null }]
  const lives = TEXTS.map((text, n) => ({ full_id: id(n), name: text, project: text, present: true, spans: spans(text) }))
  return {
    '/api/commands': { commands: TEXTS.map(command), next: null },
    '/api/commands/00000000-0000-7000-8000-000000000000': command(TEXTS[0], 0),
    '/api/events': { events, next: null },
    '/api/audit': { entries, next: null },
    '/api/rollouts': { rollouts: [summary], steps: TEXTS.map((text, place) => ({
      ...steps[place], state: 'waiting', obstacle: text, strategies: [text], services: [{ service: text, image: text, image_id: text, containers: 1 }],
    })), batches: 5 },
    '/api/rollouts/00000000-0000-7000-8000-000000000009': { ...summary, steps },
    '/api/instances/host-0/lifecycles': { instance: 'host-0', since: at, at, containers: lives, shortened: false },
    '/api/instances/host-0/containers': { instance: 'host-0', containers: containers() },
    '/api/containers': { containers: containers().map((one) => ({ ...one, instance: 'host-0', instance_name: HTML, stale: false })), next: null },
  }
}

test('made-up texts do no harm on any page', LIMIT, async () => {
  browser = await launch()
  const controller = await parts.controller()
  const { page, problems } = await open(browser, controller.url)
  await signIn(page, PASSWORD)
  const lines = TEXTS.map((text, line) => ({ line, at, entry: { progress: 'log', stream: 'stdout', service: text, text } }))
  await page.addInitScript(`(${madeUp})(${JSON.stringify(fleet())}, ${JSON.stringify(lines)}, ${JSON.stringify(command(TEXTS[0], 0))})`)
  const made = answers()
  await page.route('**/api/**', (route) => {
    const { pathname } = new URL(route.request().url())
    return pathname in made ? route.fulfill({ json: made[pathname] }) : route.continue()
  })
  const pages = {
    '/': 'unhealthy',
    '/?group=tag': 'unhealthy',
    '/instances/host-0': 'running, healthy',
    [`/instances/host-0?container=${id(0)}`]: 'Labels',
    [`/instances/host-0?container=${id(4)}`]: 'Labels',
    '/instances/host-0?sync=*': 'Sync on',
    '/instances/host-0/about': 'Docker engine',
    '/commands': 'Asked by',
    '/commands/00000000-0000-7000-8000-000000000000': 'Before',
    '/events?instance=host-0': 'Lifecycle',
    '/audit': 'To what',
    '/rollouts/new': 'Start',
    '/rollouts/00000000-0000-7000-8000-000000000009': 'Batch 5',
  }
  let number = 0
  for (const [path, word] of Object.entries(pages)) {
    await page.goto(path)
    await page.getByText(new RegExp(word)).first().waitFor()
    const opened = page.locator('details:not([open]) summary').last()
    if (path.includes('container=')) await opened.click()
    await look(page, `hostile-${(number += 1)}`, problems)
    assert.notEqual(await page.title(), 'owned', path)
    assert.equal(await page.locator('main img, main script, dialog img, dialog script').count(), 0, path)
    // What changes the direction of text is made visible, never left in it.
    const text = await page.locator('body').innerText()
    assert(!/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u202a-\u202e\u2066-\u2069]/.test(text), `${path}: ${JSON.stringify(/.{0,40}[\u0000-\u0008\u000b\u000c\u000e-\u001f\u202a-\u202e\u2066-\u2069].{0,40}/.exec(text)?.[0])}`)
  }
  await page.goto('/')
  await page.getByText('unhealthy').first().waitFor()
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: 'Find hosts' }).fill('onerror')
  await page.getByRole('dialog').getByRole('option').first().waitFor()
  await look(page, 'hostile-palette', problems)
  assert.notEqual(await page.title(), 'owned')
  assert.deepEqual(problems, [])
})
