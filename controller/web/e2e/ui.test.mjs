// The UI in a real browser, on a real controller with a real agent and a real Docker engine.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { judge, launch, LIMIT, look, open, signIn } from './browser.mjs'
import { Parts, PASSWORD, until } from './parts.mjs'

const HOSTILE = '<img src=x onerror="document.title=\'owned\'">\u202e"\''

/** How many charts show a figure: have pixels of the colour of its line. */
const drawnCharts = (part) =>
  part.locator('.u-wrap canvas').evaluateAll((canvases) => {
    const shows = (canvas) => {
      const colour = getComputedStyle(canvas.closest('[role=img]')).outlineColor.match(/\d+/g).map(Number)
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] > 200 && colour.slice(0, 3).every((part, index) => Math.abs(data[at + index] - part) < 8)) return true
      }
      return false
    }
    return canvases.filter(shows).length
  })

describe('the UI', () => {
  const parts = new Parts()
  let browser, controller, engine, agent, page, problems, context

  before(async () => {
    browser = await launch()
    controller = await parts.controller()
    engine = await parts.engine()
    const shop = await engine.image('shop:latest', 'one')
    await parts.compose(
      engine,
      'shop',
      `version: "3"
services:
  web:
    image: ${shop}
    ports: ["0:80"]
    labels: { evil: ${JSON.stringify(HOSTILE)}, api.token: "hidden-value" }
    environment: { COLOUR: blue, DB_PASSWORD: never-to-be-seen }
    mem_limit: 64m
  worker:
    image: ${shop}
    command: ["/bin/busybox", "sleep", "100000"]
  once:
    image: ${shop}
    command: ["/bin/busybox", "false"]
`,
    )
    ;({ page, problems, context } = await open(browser, controller.url))
  })

  after(async () => {
    await browser?.close()
    await parts.end()
  })

  afterEach((test) => judge(test, controller, { page, problems }))

  test('a wrong password is refused with words, the right one lets in', LIMIT, async () => {
    await page.goto('/')
    await page.getByLabel('Password').fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').filter({ hasText: 'password is wrong' }).waitFor()
    await look(page, 'sign-in', problems)
    assert.equal(await page.getByRole('button', { name: /guest/ }).count(), 0)
    await signIn(page, PASSWORD)
    await page.getByText('No host yet').waitFor()
    await look(page, 'empty', problems)
  })

  test('a host is added and turns green by itself', LIMIT, async () => {
    await page.getByRole('button', { name: 'Add host' }).first().click()
    const sheet = page.getByRole('dialog', { name: 'Add host' })
    await sheet.getByLabel('Name').fill('nas-cellar')
    await sheet.getByLabel('Environment').fill('home')
    await sheet.getByLabel('Tags').fill('cellar arm64')
    await look(page, 'add-host', problems)
    await sheet.getByRole('button', { name: 'Make the join token' }).click()
    const join = page.getByRole('dialog', { name: 'Let nas-cellar join' })
    await join.getByText('Waiting for the host').waitFor()
    await join.getByRole('tab', { name: 'compose.yaml' }).click()
    assert.match(await join.locator('pre').innerText(), /services:/)
    await join.getByRole('tab', { name: 'docker run' }).click()
    const command = await join.locator('pre').innerText()
    await look(page, 'join', problems)
    const token = /ROADSTEAD_JOIN=(\S+)/.exec(command)?.[1]
    assert(token, command)
    agent = await parts.agent('nas-cellar', engine, { ROADSTEAD_JOIN: token })
    await join.getByText('nas-cellar has joined').waitFor()
    await look(page, 'joined', problems)
    await join.getByRole('button', { name: 'Close' }).last().click()
    await page.getByRole('article', { name: 'nas-cellar' }).getByText('live').first().waitFor()
    await page.getByRole('article', { name: 'nas-cellar' }).getByText('2/3').waitFor()
    await look(page, 'instances-cards', problems)
    await page.getByRole('button', { name: 'Table' }).click()
    await page.getByRole('row', { name: /nas-cellar/ }).waitFor()
    await look(page, 'instances-table', problems)
    await page.getByRole('button', { name: 'Cards' }).click()
  })

  test('a name that is taken is refused beside its field', LIMIT, async () => {
    await page.getByRole('button', { name: 'Add host' }).first().click()
    const sheet = page.getByRole('dialog', { name: 'Add host' })
    await sheet.getByLabel('Name').fill('NAS-cellar')
    await sheet.getByRole('button', { name: 'Make the join token' }).click()
    await sheet.getByRole('alert').filter({ hasText: /nas-cellar/i }).waitFor()
    await page.keyboard.press('Escape')
    await sheet.waitFor({ state: 'detached' })
  })

  test('filters narrow the list and live in the address bar', LIMIT, async () => {
    await page.keyboard.press('/')
    await page.keyboard.type('nothing-like-this')
    await page.getByText('Nothing matches.').waitFor()
    await page.waitForURL(/q=nothing-like-this/)
    await page.reload()
    await page.getByText('Nothing matches.').waitFor()
    await page.getByRole('button', { name: 'Clear the filters' }).click()
    await page.getByRole('article', { name: 'nas-cellar' }).waitFor()
    await page.getByRole('button', { name: /unhealthy hosts/ }).click()
    assert.match(page.url(), /show=unhealthy/)
    await page.getByRole('button', { name: /unhealthy hosts/ }).click()
  })

  test('health is checked on demand', LIMIT, async () => {
    await page.getByRole('button', { name: 'Check the health of nas-cellar' }).click()
    await page.locator('.notice').filter({ hasText: 'nas-cellar: healthy' }).waitFor()
  })

  test('a host is edited, and every browser follows', LIMIT, async () => {
    const second = await open(browser, controller.url)
    await signIn(second.page, PASSWORD)
    await second.page.getByRole('article', { name: 'nas-cellar' }).getByText('arm64').waitFor()
    await page.getByRole('link', { name: 'nas-cellar', exact: true }).click()
    await page.getByRole('button', { name: 'Edit', exact: true }).click()
    const sheet = page.getByRole('dialog', { name: 'Edit nas-cellar' })
    assert.equal(await sheet.getByLabel('Name').inputValue(), 'nas-cellar')
    assert.equal(await sheet.getByLabel('Tags').inputValue(), 'arm64 cellar')
    await sheet.getByLabel('Name').fill('nas-attic')
    await sheet.getByLabel('Description').fill('Disks & backups <b>upstairs</b>')
    await sheet.getByLabel('Environment').fill('')
    await sheet.getByLabel('Tags').fill('arm64, attic')
    await look(page, 'edit-host', problems)
    await sheet.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('heading', { name: 'nas-attic', level: 1 }).waitFor()
    await page.getByText('Disks & backups <b>upstairs</b>').waitFor()
    const other = second.page.getByRole('article', { name: 'nas-attic' })
    await other.getByText('attic', { exact: true }).waitFor()
    assert.equal(await other.getByText(/^(home|cellar)$/).count(), 0)
    // What is not allowed is said where the person is looking, and nothing typed is lost.
    await page.getByRole('button', { name: 'Edit', exact: true }).click()
    const again = page.getByRole('dialog', { name: 'Edit nas-attic' })
    await again.getByLabel('Name').fill(' ')
    await again.getByRole('button', { name: 'Save' }).click()
    await again.getByRole('alert').waitFor()
    await again.getByLabel('Name').fill('nas-cellar')
    await again.getByLabel('Environment').fill('home')
    await again.getByLabel('Tags').fill('cellar arm64')
    await again.getByRole('button', { name: 'Save' }).click()
    await second.page.getByRole('article', { name: 'nas-cellar' }).getByText('home').waitFor()
    assert.deepEqual(second.problems, [])
    await second.context.close()
    await page.goto('/')
    await page.getByRole('article', { name: 'nas-cellar' }).waitFor()
  })

  test('containers are shown by project, and what they carry does no harm', LIMIT, async () => {
    await page.getByRole('link', { name: 'View containers' }).click()
    await page.getByRole('button', { name: 'shop_web_1', exact: true }).waitFor()
    assert.equal(await page.getByRole('row', { name: /exited/ }).getByText('exit code 1').count(), 1)
    await until('figures come', async () => /\d MiB|\d KiB/.test(await page.getByRole('row', { name: /shop_web_1/ }).innerText()))
    await page.getByRole('img', { name: /^Memory since you have been looking: between \d/ }).waitFor()
    await until('both charts are drawn', async () => (await drawnCharts(page)) === 2)
    await look(page, 'containers', problems)
    await page.getByRole('button', { name: 'shop_web_1', exact: true }).click()
    const drawer = page.getByRole('dialog', { name: 'shop_web_1' })
    await drawer.getByText('Labels').click()
    await drawer.getByText('<img src=x').waitFor()
    assert.equal(await drawer.getByText('hidden-value').count(), 0)
    await drawer.getByText('Environment variables').click()
    await drawer.getByText('blue', { exact: true }).waitFor()
    await drawer.getByText('•••••• hidden by the agent').waitFor()
    assert.equal(await drawer.getByText('never-to-be-seen').count(), 0)
    await drawer.getByRole('img', { name: /^CPU since you have been looking: between/ }).waitFor()
    await until('the charts of the container are drawn', async () => (await drawnCharts(drawer)) === 2)
    await look(page, 'container', problems)
    assert.notEqual(await page.title(), 'owned')
    await page.keyboard.press('Escape')
    await page.getByPlaceholder(/Filter by name/).fill('worker')
    await page.getByRole('button', { name: 'shop_web_1', exact: true }).waitFor({ state: 'detached' })
    await page.getByPlaceholder(/Filter by name/).fill('')
  })

  test('a container is stopped and started, and the page follows', LIMIT, async () => {
    await page.getByRole('button', { name: 'Stop shop_worker_1', exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click()
    await page.getByRole('button', { name: 'Start shop_worker_1', exact: true }).waitFor({ timeout: 30_000 })
    // The container has stopped; the command ends a moment later, and until then refuses another.
    await page.locator('nav .count').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Start shop_worker_1', exact: true }).click()
    await page.getByRole('button', { name: 'Stop shop_worker_1', exact: true }).waitFor({ timeout: 30_000 })
  })

  test('a sync with a real new image is followed to its outcome, across a reload', LIMIT, async () => {
    // Only the registry has the new one, so that its layers have to come from there.
    await engine.docker('rmi', await engine.image('shop:latest', 'two'))
    await page.getByRole('button', { name: 'Sync shop' }).click()
    const sheet = page.getByRole('dialog', { name: /Sync on/ })
    await sheet.getByText('Runs now').waitFor()
    await look(page, 'sync', problems)
    await sheet.getByLabel('once').uncheck()
    await sheet.getByLabel('worker').uncheck()
    await sheet.getByRole('button', { name: 'Sync now' }).click()
    await page.getByRole('heading', { name: 'Sync of shop' }).waitFor()
    await page.reload()
    await page.getByRole('region', { name: 'Outcome' }).getByRole('cell', { name: 'updated' }).waitFor({ timeout: 90_000 })
    await page.getByText('1 of 1 layers').waitFor()
    await page.getByRole('log', { name: 'Log' }).getByText('verify done').waitFor()
    await look(page, 'command', problems)
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Commands' }).click()
    await page.getByRole('link', { name: 'Sync of shop' }).first().waitFor()
    await look(page, 'commands', problems)
  })

  test('events, audit and what is known of a host have their pages', LIMIT, async () => {
    await page.goto('/')
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Events' }).click()
    await page.getByText('shop_web_1: start').first().waitFor()
    await look(page, 'events', problems)
    await page.getByLabel('Kind', { exact: true }).selectOption({ label: 'command ended' })
    assert.match(page.url(), /kind=command_ended/)
    await page.getByText('shop_web_1: start').first().waitFor({ state: 'detached' })
    await page.getByText('A command ended: succeeded').first().waitFor()
    const saved = page.waitForEvent('download')
    await page.getByRole('button', { name: 'CSV' }).click()
    assert.equal((await saved).suggestedFilename(), 'events.csv')
    await page.getByRole('link', { name: 'Audit' }).click()
    await page.getByText('instance.register').first().waitFor()
    await look(page, 'audit', problems)
    await page.goto('/')
    await page.getByRole('article', { name: 'nas-cellar' }).getByRole('link', { name: 'nas-cellar' }).click()
    await page.getByRole('link', { name: 'About' }).click()
    await page.getByText('✓ sync').waitFor()
    await look(page, 'about', problems)
  })

  test('the keyboard finds and opens everything', LIMIT, async () => {
    await page.goto('/commands')
    await page.getByRole('heading', { name: 'Commands', level: 1 }).waitFor()
    await page.keyboard.press('Control+k')
    await page.getByRole('combobox', { name: 'Find hosts' }).fill('web_1')
    await page.getByRole('option', { name: /shop_web_1/ }).waitFor()
    await look(page, 'palette', problems)
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'shop_web_1' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('j')
    await until('a row has the focus', () => page.evaluate(() => document.activeElement?.closest('[data-row]') !== null))
    await page.keyboard.press('g')
    await page.keyboard.press('i')
    await page.getByRole('heading', { name: 'Instances', level: 1 }).waitFor()
  })

  test('German is a second language', LIMIT, async () => {
    await page.goto('/')
    await page.getByLabel('Language').selectOption('de')
    await page.getByRole('heading', { name: 'Instanzen', level: 1 }).waitFor()
    await look(page, 'instances-german', problems)
    await page.getByLabel('Sprache').selectOption('en')
    await page.getByRole('heading', { name: 'Instances', level: 1 }).waitFor()
  })

  test('a session that ends is asked for again without losing the page', LIMIT, async () => {
    await page.goto('/?q=nas')
    await page.getByRole('article', { name: 'nas-cellar' }).waitFor()
    await context.clearCookies()
    await page.getByRole('button', { name: 'Check the health of nas-cellar' }).click()
    const dialog = page.getByRole('dialog', { name: 'Your session has ended' })
    await dialog.waitFor()
    await look(page, 'session-ended', problems)
    await dialog.getByLabel('Password').fill(PASSWORD)
    await dialog.getByRole('button', { name: 'Sign in' }).click()
    // What was asked for goes on by itself.
    await page.locator('.notice').filter({ hasText: 'nas-cellar: healthy' }).waitFor()
    await page.waitForURL(/q=nas/)
  })

  test('two browsers see the same, and an agent that is away is shown as lost', LIMIT, async () => {
    const second = await open(browser, controller.url)
    await signIn(second.page, PASSWORD)
    await second.page.getByRole('article', { name: 'nas-cellar' }).getByText('live').first().waitFor()
    await agent.stop()
    for (const each of [page, second.page]) {
      await each.getByRole('article', { name: 'nas-cellar' }).getByText('lost').first().waitFor({ timeout: 60_000 })
      await each.getByRole('button', { name: '1 unhealthy hosts' }).waitFor()
    }
    assert.equal(await page.getByRole('button', { name: 'Sync' }).getAttribute('aria-disabled'), 'true')
    await look(page, 'lost', problems)
    agent = await parts.agent('nas-cellar', engine, {})
    await page.getByRole('article', { name: 'nas-cellar' }).getByText('live').first().waitFor({ timeout: 60_000 })
    assert.deepEqual(second.problems, [])
    await second.context.close()
  })

  test('a controller that is away is said to be, and comes back without a reload', LIMIT, async () => {
    const address = new URL(controller.url).host
    await page.evaluate(() => (window.sameDocument = true))
    await controller.stop()
    await page.getByText(/Connection to the controller lost, showing the picture of \d\d:\d\d:\d\d/).waitFor()
    await look(page, 'disconnected', problems)
    controller = await parts.controller({ listen: address, agents: controller.agents })
    await page.getByText(/Connection to the controller lost/).waitFor({ state: 'detached', timeout: 30_000 })
    await page.getByRole('article', { name: 'nas-cellar' }).getByText('live').first().waitFor({ timeout: 90_000 })
    assert.equal(await page.evaluate(() => window.sameDocument), true)
  })

  test('removing asks first, and leaves the host alone', LIMIT, async () => {
    await page.getByRole('button', { name: 'Remove nas-cellar' }).click()
    const dialog = page.getByRole('dialog', { name: 'Remove nas-cellar?' })
    await dialog.getByText('The remote host is not touched').waitFor()
    await look(page, 'remove', problems)
    await dialog.getByRole('button', { name: 'Remove the instance' }).click()
    await page.getByText('No host yet').waitFor()
    assert.match(await engine.docker('ps'), /shop_web_1/)
  })
})

describe('a guest in demo mode', () => {
  const parts = new Parts()
  let browser

  after(async () => {
    await browser?.close()
    await parts.end()
  })

  test('may look and is told why not to change', LIMIT, async () => {
    browser = await launch()
    const controller = await parts.controller({ demo: true })
    const { page, problems } = await open(browser, controller.url)
    await page.goto('/')
    await page.getByRole('button', { name: 'Look around as a guest' }).click()
    const add = page.getByRole('button', { name: 'Add host' }).first()
    await add.waitFor()
    assert.equal(await add.getAttribute('aria-disabled'), 'true')
    assert.match((await add.getAttribute('title')) ?? '', /Guests may look/)
    await add.click({ force: true })
    assert.equal(await page.getByRole('dialog').count(), 0)
    assert.equal(await page.getByRole('link', { name: 'Audit' }).count(), 0)
    await look(page, 'guest', problems)
    assert.deepEqual(problems, [])
  })
})
