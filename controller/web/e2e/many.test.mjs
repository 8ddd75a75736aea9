// Many hosts at once: a sync batch after batch, actions on many containers, lifecycles. On real engines.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { judge, launch, LIMIT, look, open, signIn } from './browser.mjs'
import { Parts, PASSWORD, until } from './parts.mjs'

const PROJECT = (image) => `version: "3"
services:
  web: { image: "${image}", stop_grace_period: 1s }
  worker: { image: "${image}", stop_grace_period: 1s }
`

describe('many at once', () => {
  const parts = new Parts()
  const engines = {}
  let browser, controller, page, problems

  before(async () => {
    browser = await launch()
    controller = await parts.controller()
    ;({ page, problems } = await open(browser, controller.url))
    await signIn(page, PASSWORD)
    for (const name of ['alpha', 'beta']) {
      engines[name] = await parts.engine(name)
      await parts.compose(engines[name], 'shop', PROJECT(await engines[name].image('shop:latest', 'one')))
      await parts.host(page, name, engines[name])
    }
    await page.getByRole('article', { name: 'beta' }).getByText('2/2').waitFor({ timeout: 30_000 })
  })

  after(async () => {
    await browser?.close()
    await parts.end()
  })

  afterEach((test) => judge(test, controller, { page, problems }))

  /** Puts a new image into both registries alone, so that it has to be pulled. */
  async function publish(marker, command) {
    for (const engine of Object.values(engines)) await engine.docker('rmi', await engine.image('shop:latest', marker, command))
  }

  const step = (name) => page.getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) })

  test('the plan of each host is shown, and hosts are left out by hand', LIMIT, async () => {
    await page.getByRole('button', { name: 'Sync many' }).click()
    await page.getByRole('heading', { name: 'Sync of many hosts', level: 1 }).waitFor()
    await page.getByText('2 syncs in 2 batches').waitFor()
    for (const name of ['alpha', 'beta']) {
      // The host that just came may be told of again meanwhile, and its row with it.
      for (const part of [/web/, /Compose; the engine alone where the files cannot be read/, /[0-9a-f]{12}/]) {
        await step(name).filter({ hasText: part }).waitFor()
      }
    }
    await look(page, 'rollout-new', problems)
    await page.getByRole('checkbox', { name: 'Sync beta' }).uncheck()
    await page.getByText('1 sync in 1 batch').waitFor()
    await page.getByRole('button', { name: 'All', exact: true }).click()
    await page.getByLabel('At once').fill('2')
    await page.getByText('2 syncs in 1 batch').waitFor()
    await page.getByLabel('At once').fill('1')
    await page.getByPlaceholder(/Filter by name/).fill('alpha')
    await page.getByText('1 sync in 1 batch').waitFor()
    await page.waitForURL(/q=alpha/)
    await page.getByPlaceholder(/Filter by name/).fill('')
    await page.getByText('2 syncs in 2 batches').waitFor()
  })

  test('hosts are synced one after the other, across a reload and a restart of the controller', LIMIT, async () => {
    await publish('two')
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.getByRole('heading', { name: 'Sync of shop: 2 hosts' }).waitFor()
    await step('alpha').getByText('running').waitFor()
    await step('beta').getByText('waiting for its turn').waitFor()
    await look(page, 'rollout', problems)
    await page.reload()
    await step('alpha').waitFor()
    const address = new URL(controller.url).host
    await controller.stop()
    await page.getByText(/Connection to the controller lost/).waitFor()
    controller = await parts.controller({ listen: address, agents: controller.agents })
    await step('alpha').getByText('succeeded').waitFor({ timeout: 120_000 })
    await step('beta').getByText('succeeded').waitFor({ timeout: 120_000 })
    await step('beta').getByText(/web/).first().waitFor()
    await page.getByRole('status').getByText('succeeded').waitFor()
    await look(page, 'rollout-done', problems)
    await step('beta').getByRole('link', { name: 'Follow' }).click()
    await page.getByRole('heading', { name: 'Sync of shop' }).waitFor()
    await page.getByRole('region', { name: 'Outcome' }).getByRole('cell', { name: 'updated' }).first().waitFor()
  })

  test('a host that fails stops it, with its reason, and the others are named as left out', LIMIT, async () => {
    await publish('broken', ['/bin/busybox', 'sh', '-c', 'echo it is broken; exit 3'])
    await page.goto('/rollouts/new')
    await page.getByText('2 syncs in 2 batches').waitFor()
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await step('alpha').getByText('failed').first().waitFor({ timeout: 120_000 })
    await step('beta').getByText('left out').waitFor()
    await step('beta').getByText(/alpha failed before/).waitFor()
    await page.getByText('alpha failed.').waitFor()
    await look(page, 'rollout-failed', problems)
    await step('alpha').getByRole('link', { name: 'Follow' }).click()
    const outcome = page.getByRole('region', { name: 'Outcome' })
    await outcome.getByRole('cell', { name: 'failed' }).first().waitFor()
    await outcome.getByText('it is broken').first().waitFor()
    await look(page, 'command-failed', problems)
    await page.goto('/commands')
    await page.getByRole('region', { name: 'Syncs of many hosts' }).getByRole('link').first().waitFor()
    await look(page, 'commands-rollouts', problems)
  })

  test('many containers are acted on at once, and each outcome is shown', LIMIT, async () => {
    await page.goto('/')
    await page.getByRole('article', { name: 'beta' }).getByRole('link', { name: 'beta' }).click()
    await page.getByRole('checkbox', { name: 'Choose shop', exact: true }).check()
    const bar = page.getByRole('toolbar')
    await bar.getByText('2 chosen').waitFor()
    assert.equal(await bar.getByRole('button', { name: /^Remove/ }).getAttribute('aria-disabled'), 'true', 'the policy does not allow it')
    assert.equal(await bar.getByRole('button', { name: /^Start/ }).getAttribute('aria-disabled'), 'true', 'both run')
    await bar.getByRole('button', { name: 'Stop' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('shop_worker_1').waitFor()
    await look(page, 'bulk-ask', problems)
    await dialog.getByRole('button', { name: 'Stop' }).click()
    const outcome = dialog.getByRole('list', { name: 'Outcome' })
    await until('both have stopped', async () => (await outcome.getByText('succeeded').count()) === 2, 60)
    await look(page, 'bulk-done', problems)
    await dialog.getByRole('button', { name: 'Close' }).last().click()
    assert.equal(await page.getByRole('toolbar').count(), 0)
    assert.equal(await engines.beta.docker('ps', '--quiet'), '')
  })

  test('lifecycles are coloured spans, with a way from each to its events', LIMIT, async () => {
    await page.goto('/events')
    await page.getByLabel('Instance', { exact: true }).selectOption({ label: 'beta' })
    const timeline = page.getByRole('region', { name: 'Lifecycle' })
    await timeline.getByText('shop_web_1').first().waitFor()
    await until('spans are drawn', async () => (await timeline.locator('button.ready').count()) > 0)
    await timeline.locator('button.stopped').first().waitFor()
    await look(page, 'events-lifecycle', problems)
    await page.getByLabel('Time', { exact: true }).selectOption('1h')
    assert.match(page.url(), /range=1h/)
    await timeline.locator('button.stopped').last().click()
    await until('the list is about that container', () => page.url().includes('container=') && page.url().includes('since='))
    await page.getByRole('button', { name: /Show every container/ }).waitFor()
    const id = new URL(page.url()).searchParams.get('container')
    const links = page.locator('li[data-row] a[href*="container="]')
    await until('only its events are listed', async () => {
      const where = await links.evaluateAll((all) => all.map((one) => one.href))
      return where.length > 0 && where.every((href) => href.includes(id))
    })
    await page.reload()
    await page.getByRole('button', { name: /Show every container/ }).click()
    await timeline.getByRole('link', { name: 'shop_web_1' }).last().click()
    const drawer = page.getByRole('dialog', { name: 'shop_web_1' })
    await drawer.getByRole('region', { name: 'Lifecycle' }).getByText('stopped').first().waitFor()
    await drawer.getByRole('region', { name: 'Lifecycle' }).scrollIntoViewIfNeeded()
    await look(page, 'container-lifecycle', problems)
    await drawer.getByRole('link', { name: 'All of them, with filters' }).click()
    await page.getByRole('button', { name: /Show every container/ }).waitFor()
    const saved = page.waitForEvent('download')
    await page.getByRole('button', { name: 'JSON' }).click()
    assert.equal((await saved).suggestedFilename(), 'events.json')
  })
})
