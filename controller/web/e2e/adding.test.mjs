// What goes wrong while a host is added, shown where the person is looking; and the controller's own host. No engine.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { judge, launch, LIMIT, look, open, signIn } from './browser.mjs'
import { freePort, Parts, PASSWORD } from './parts.mjs'

const NO_ENGINE = { host: 'unix:///nowhere/docker.sock' }

describe('adding', () => {
  const parts = new Parts()
  let browser, controller, page, problems

  before(async () => {
    browser = await launch()
    controller = await parts.controller({ settings: { ROADSTEAD_LOCAL_AGENT: 'on', ROADSTEAD_INSTANCE_NAME: 'pier', DOCKER_HOST: NO_ENGINE.host } })
    ;({ page, problems } = await open(browser, controller.url))
    await signIn(page, PASSWORD)
  })

  after(async () => {
    await browser?.close()
    await parts.end()
  })

  afterEach((test) => judge(test, controller, { page, problems }))

  /** Fills in the sheet; what it asks the controller for is changed by `other`. */
  async function add(name, { address, ...other } = {}) {
    await page.route('**/api/instances', (route) => {
      const asked = route.request()
      return asked.method() === 'POST' ? route.continue({ postData: JSON.stringify({ ...asked.postDataJSON(), ...other }) }) : route.continue()
    })
    await page.goto('/?add=host')
    const sheet = page.getByRole('dialog', { name: 'Add host' })
    await sheet.getByLabel('Name').fill(name)
    if (address) {
      await sheet.getByRole('radio', { name: /inbound/ }).check()
      await sheet.getByLabel('Address of the agent').fill(address)
    }
    await sheet.getByRole('button', { name: 'Make the join token' }).click()
    const joining = page.getByRole('dialog', { name: `Let ${name} join` })
    await joining.waitFor()
    await page.unroute('**/api/instances')
    return joining
  }

  test('the host of the controller has a card of its own, which says what is wrong with it and what helps', LIMIT, async () => {
    const own = page.getByRole('region', { name: 'This instance' }).getByRole('article', { name: 'pier' })
    await own.getByText('live').first().waitFor({ timeout: 60_000 })
    await own.getByText('unhealthy').first().waitFor()
    await look(page, 'this-instance', problems)
    await own.getByRole('link', { name: 'pier', exact: true }).click()
    await page.getByText('systemctl status docker').waitFor()
    await page.getByText('Which containers this host has is not known').waitFor()
    await look(page, 'engine-away', problems)
  })

  test('a join token that has expired is said to have, and another is one touch away', LIMIT, async () => {
    const joining = await add('slow', { token_ttl: '1m' })
    await joining.getByText(/Expires in \d+ s\./).waitFor()
    await joining.getByText('The join token has expired before the host joined.').waitFor({ timeout: 90_000 })
    assert.equal(await joining.locator('pre').count(), 0, 'a command that is of no use is not shown')
    await look(page, 'join-expired', problems)
    await joining.getByRole('button', { name: 'New join token' }).click()
    await joining.getByText('Waiting for the host').waitFor()
    for (const [way, words] of [['docker run', /docker run -d/], ['compose.yaml', /services:/], ['systemd', /systemctl enable roadstead-agent/], ['program', /roadstead-agent$/]]) {
      await joining.getByRole('tab', { name: way }).click()
      assert.match(await joining.locator('pre').innerText(), words)
    }
  })

  test('an agent that belongs to another controller is named as that', LIMIT, async () => {
    const other = await parts.controller({ data: 'other' })
    const stranger = await open(browser, other.url)
    await signIn(stranger.page, PASSWORD)
    const address = `127.0.0.1:${await freePort()}`
    const data = { name: 'theirs', url: `wss://${address}` }
    const answer = await stranger.page.request.post('/api/instances', { data, headers: { origin: other.url } })
    const { join: theirs } = await answer.json()
    await parts.agent('theirs', NO_ENGINE, { ROADSTEAD_JOIN: theirs.token, ROADSTEAD_LISTEN: address })
    await stranger.page.getByRole('article', { name: 'theirs' }).getByText('live').first().waitFor({ timeout: 60_000 })
    const joining = await add('ours', { address: `wss://${address}` })
    await joining.getByRole('alert').filter({ hasText: /key|identity|another controller|trust/i }).waitFor({ timeout: 60_000 })
    await look(page, 'join-wrong-key', problems)
    await stranger.context.close()
  })
})
