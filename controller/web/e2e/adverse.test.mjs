// What goes wrong: cut links, syncs that are cancelled, hosts that the controller has to dial. On a real engine.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { judge, launch, LIMIT, look, open, signIn } from './browser.mjs'
import { cuttable, freePort, Parts, PASSWORD } from './parts.mjs'

/** A heartbeat comes every 20 s with some jitter; without any for 45 s a link is lost. */
const LATE_WITHIN = 35_000
const LOST_WITHIN = 60_000
/** An agent notices by itself and tries again after pauses that grow to a minute. */
const BACK_WITHIN = 120_000

describe('what goes wrong', () => {
  const parts = new Parts()
  let browser, controller, engine, page, problems

  before(async () => {
    browser = await launch()
    controller = await parts.controller()
    engine = await parts.engine()
    ;({ page, problems } = await open(browser, controller.url))
    await signIn(page, PASSWORD)
    const image = await engine.image('shop:latest', 'one')
    const service = (name) => `  ${name}: { image: "${image}", stop_grace_period: 6s }\n`
    const text = `version: "3"\nservices:\n${['one', 'two', 'three'].map(service).join('')}`
    await parts.compose(engine, 'shop', text)
  })

  after(async () => {
    await browser?.close()
    await parts.end()
  })

  afterEach((test) => judge(test, controller, { page, problems }))

  const card = (name) => page.getByRole('article', { name })

  test('a host that the controller dials is added by the sheet', LIMIT, async () => {
    const address = `127.0.0.1:${await freePort()}`
    await page.getByRole('button', { name: 'Add host' }).first().click()
    const sheet = page.getByRole('dialog', { name: 'Add host' })
    await sheet.getByLabel('Name').fill('reached')
    await sheet.getByRole('radio', { name: /inbound/ }).check()
    await sheet.getByLabel('Address of the agent').fill(`wss://${address}`)
    await look(page, 'add-host-inbound', problems)
    await sheet.getByRole('button', { name: 'Make the join token' }).click()
    const joining = page.getByRole('dialog', { name: 'Let reached join' })
    await joining.getByRole('alert').filter({ hasText: /refused|connect/i }).waitFor()
    await look(page, 'join-inbound', problems)
    const token = /ROADSTEAD_JOIN=(\S+)/.exec(await joining.locator('pre').innerText())?.[1]
    assert(token)
    await parts.agent('reached', engine, { ROADSTEAD_JOIN: token, ROADSTEAD_LISTEN: address })
    await joining.getByText('reached has joined').waitFor({ timeout: 90_000 })
    await joining.getByRole('button', { name: 'Close' }).last().click()
    await card('reached').getByText('inbound').waitFor()
    await card('reached').getByText('3/3').waitFor()
  })

  test('a sync is cancelled and says how far it came', LIMIT, async () => {
    await engine.docker('rmi', await engine.image('shop:latest', 'two'))
    await card('reached').getByRole('button', { name: 'Sync', exact: true }).click()
    const sheet = page.getByRole('dialog', { name: /Sync on/ })
    await sheet.getByLabel('Strategy').selectOption('engine')
    await sheet.getByRole('button', { name: 'Sync now' }).click()
    await page.getByRole('heading', { name: 'Sync of shop' }).waitFor()
    await page.getByRole('log', { name: 'Log' }).getByText(/stop|recreate|create/i).first().waitFor({ timeout: 30_000 })
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('Cancelling: the command stops at its next safe point').waitFor()
    await page.getByRole('status').getByText('cancelled').waitFor({ timeout: 60_000 })
    const outcome = page.getByRole('region', { name: 'Outcome' })
    await outcome.getByRole('cell', { name: 'not reached' }).first().waitFor()
    await look(page, 'command-cancelled', problems)
    assert.equal((await engine.docker('ps', '--quiet')).split('\n').length, 3, 'nothing is left stopped')
  })

  test('a cut link is shown as late, then lost, and healed without a reload; two browsers see the same', LIMIT, async (context) => {
    const wire = await cuttable(controller.agents)
    const { agent } = await parts.host(page, 'distant', engine, { ROADSTEAD_CONTROLLER: `wss://${wire.address}` })
    const second = await open(browser, controller.url)
    await signIn(second.page, PASSWORD)
    await page.goto('/')
    const both = [page, second.page]
    const link = (one, word) => one.getByRole('article', { name: 'distant' }).locator('.link .badge').filter({ hasText: word })
    for (const one of both) {
      await link(one, 'live').waitFor({ timeout: 30_000 })
      await one.evaluate(() => (window.sameDocument = true))
    }
    const cutAt = Date.now()
    wire.cut()
    await Promise.all(both.map((one) => link(one, 'late').waitFor({ timeout: LATE_WITHIN })))
    context.diagnostic(`late after ${((Date.now() - cutAt) / 1000).toFixed(1)} s`)
    await Promise.all(both.map((one) => link(one, 'lost').waitFor({ timeout: LOST_WITHIN })))
    context.diagnostic(`lost after ${((Date.now() - cutAt) / 1000).toFixed(1)} s`)
    await look(page, 'cut', problems)
    const healedAt = Date.now()
    wire.heal()
    await Promise.all(both.map((one) => link(one, 'live').waitFor({ timeout: BACK_WITHIN })))
    context.diagnostic(`live again ${((Date.now() - healedAt) / 1000).toFixed(1)} s after the line was`)
    for (const one of both) assert.equal(await one.evaluate(() => window.sameDocument), true)
    assert.deepEqual(second.problems, [])
    await second.context.close()
    await agent.stop()
    await wire.close()
  })

  test('an instance that one browser removes goes from the other too', LIMIT, async () => {
    const second = await open(browser, controller.url)
    await signIn(second.page, PASSWORD)
    await second.page.getByRole('article', { name: 'distant' }).waitFor()
    await page.getByRole('button', { name: 'Remove distant' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove the instance' }).click()
    for (const one of [page, second.page]) await one.getByRole('article', { name: 'distant' }).waitFor({ state: 'detached' })
    assert.deepEqual(second.problems, [])
    await second.context.close()
  })
})
