// Chromium for the tests: every page reports violations of its Content-Security-Policy and its own errors.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import axe from 'axe-core'
import { chromium } from 'playwright-core'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const repository = fileURLToPath(new URL('../../..', import.meta.url))

/** What one test or hook may take, in milliseconds. A suite has no limit of its own: it would be that of all of them. */
export const LIMIT = { timeout: 180_000 }

/** Where screenshots go: git ignores it. */
export const SHOTS = process.env.ROADSTEAD_SCREENSHOTS ?? join(repository, 'target', 'screenshots')

export async function launch() {
  assert(existsSync(CHROMIUM), `${CHROMIUM} is missing: install it with apt-get install chromium`)
  mkdirSync(SHOTS, { recursive: true })
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] })
}

/** A page in a browser session of its own, which asks nobody but the controller and `also`. `problems` gathers what must not happen. */
export async function open(browser, url, { also = [], ...options } = {}) {
  const context = await browser.newContext({ baseURL: url, viewport: { width: 1360, height: 860 }, locale: 'en-GB', ...options })
  const problems = []
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ''}`)
    })
  })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`))
  page.on('console', (message) => {
    const text = message.text()
    if (text.startsWith('CSP: ') || text.includes('Content Security Policy')) problems.push(text)
  })
  page.on('request', (request) => {
    const where = new URL(request.url())
    if (![new URL(url).origin, ...also].includes(where.origin) && where.protocol !== 'data:' && where.protocol !== 'blob:') {
      problems.push(`request to elsewhere: ${request.url()}`)
    }
  })
  return { page, context, problems }
}

/** Serious findings of axe on the page as it is. */
export async function findings(page) {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }))
  return violations
    .filter((one) => one.impact === 'serious' || one.impact === 'critical')
    .map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target.join(' ')} (${node.failureSummary})`).join('\n   ')}`)
}

const LOOKS = [
  { name: 'light', scheme: 'light', viewport: { width: 1360, height: 860 } },
  { name: 'dark', scheme: 'dark', viewport: { width: 1360, height: 860 } },
  { name: 'phone', scheme: 'light', viewport: { width: 390, height: 844 } },
]

/** Takes pictures of the page in every look; what axe finds serious, and what sticks out, goes to `problems`. */
export async function look(page, name, problems) {
  const before = page.viewportSize()
  for (const { name: kind, scheme, viewport } of LOOKS) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
    await page.setViewportSize(viewport)
    await page.screenshot({ path: join(SHOTS, `${name}-${kind}.png`) })
    problems.push(...(await findings(page)).map((one) => `axe on ${name}, ${kind}: ${one}`))
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    if (wide > 0) problems.push(`${name}, ${kind}: the page is ${wide} pixels wider than the screen`)
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null })
  await page.setViewportSize(before)
}

/** After a test: shows what a failed one left on the pages that were `open`ed, and finds that none of them had a problem. */
export async function judge(test, controller, ...opened) {
  const found = opened.flatMap(({ problems }) => problems.splice(0))
  if (test.passed === false) {
    for (const [number, { page }] of opened.entries()) {
      const name = `failed-${test.name.slice(0, 40)}${number === 0 ? '' : `-${number + 1}`}.png`
      await page.screenshot({ path: join(SHOTS, name) })
    }
    console.error(...opened.map(({ page }) => page.url()), found, controller.output().slice(-2000))
  }
  assert.deepEqual(found, [])
}

export async function signIn(page, password) {
  await page.goto('/')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('heading', { name: 'Instances', level: 1 }).waitFor()
}
