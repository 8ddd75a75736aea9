// Who may join: join tokens for many hosts, declared hosts, ceilings, and keys that are replaced.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { judge, launch, LIMIT, look, open, signIn } from './browser.mjs'
import { Parts, PASSWORD, until } from './parts.mjs'

const SECRET = 'a-secret-of-the-declared-agent-0123456789abc'

describe('joining', () => {
  const parts = new Parts()
  let browser, controller, engine, page, problems, token

  before(async () => {
    writeFileSync(join(parts.folder, 'rack.secret'), SECRET)
    const config = join(parts.folder, 'roadstead.toml')
    writeFileSync(config, `[[agents]]\nname = 'rack'\nsecret-file = '${parts.folder}/rack.secret'\ntags = ['cellar']\n`)
    ;[browser, controller, engine] = await Promise.all([launch(), parts.controller({ config }), parts.engine()])
    const image = await engine.image('kept', 'one')
    await engine.docker('run', '--detach', '--name', 'kept', '--label', 'roadstead.protect=true', '--network=none', image)
    ;({ page, problems } = await open(browser, controller.url))
    await signIn(page, PASSWORD)
  })

  after(async () => {
    await browser?.close()
    await parts.end()
  })

  afterEach((test) => judge(test, controller, { page, problems }))

  const section = (name) => page.getByRole('region', { name, exact: true })

  test('a join token is made with a name, uses, tags, an environment and a ceiling, and shown once', LIMIT, async () => {
    await page.getByRole('link', { name: 'Joining' }).click()
    await page.getByRole('row', { name: /rack.*outbound.*usable.*with its declaration/ }).waitFor()
    await page.getByRole('button', { name: 'New join token' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('rack-2')
    await dialog.getByLabel('Uses').fill('2000')
    await dialog.getByLabel('The join token is good for').selectOption('24h')
    await dialog.getByLabel('Environment').fill('production')
    await dialog.getByLabel('Tags').fill('cellar arm64')
    await dialog.getByLabel('Limit what this controller may ask of it').check()
    await dialog.getByLabel('lifecycle').uncheck()
    await look(page, 'join-token-new', problems)
    const uses = dialog.getByLabel('Uses')
    await dialog.getByRole('button', { name: 'Make the join token' }).click()
    assert.equal(await uses.evaluate((input) => input.validity.rangeOverflow), true, 'more uses than there may be')
    await uses.fill('2')
    await dialog.getByRole('button', { name: 'Make the join token' }).click()
    await dialog.getByText('shown only now').waitFor()
    await dialog.getByText('It works for 2 hosts, until').waitFor()
    await dialog.getByRole('tab', { name: 'program' }).click()
    token = /ROADSTEAD_JOIN=(\S+)/.exec(await dialog.locator('pre').innerText())[1]
    assert.match(token, /^rsj_/)
    await look(page, 'join-token-made', problems)
    await dialog.getByRole('button', { name: 'I have kept it' }).click()
    await page.getByRole('row', { name: /rack-2.*outbound.*usable.*a new host.*production.*arm64.*cellar.*at most view, logs, stats, sync.*2 left/ }).waitFor()
  })

  test('an agent that joins with it has its tags and its ceiling, and the page says why something cannot be asked', LIMIT, async () => {
    await parts.agent('nas', engine, { ROADSTEAD_JOIN: token })
    await page.getByRole('link', { name: 'Instances', exact: true }).click()
    await page.getByRole('article', { name: 'nas' }).getByText('arm64').waitFor()
    await page.goto('/joining')
    await page.getByRole('row', { name: /rack-2.*1 left.*Last used/ }).waitFor()
    await look(page, 'joining', problems)
    await page.goto('/')
    await page.getByRole('article', { name: 'nas' }).getByRole('link', { name: 'nas', exact: true }).first().click()
    await page.getByRole('row', { name: /kept/ }).getByText('protected').filter({ visible: true }).waitFor()
    const stop = page.getByRole('button', { name: 'Stop kept' })
    assert.match((await stop.getAttribute('title')) ?? '', /join token of this host set a ceiling without "lifecycle"/)
    await look(page, 'protected', problems)
    await page.getByRole('link', { name: 'About' }).click()
    await page.getByText('view logs stats sync', { exact: true }).waitFor()
    await look(page, 'about-ceiling', problems)
  })

  test('the key of an agent is replaced, and so is that of the controller', LIMIT, async () => {
    const fact = (name) => page.locator(`dt:text-is("${name}") + dd`)
    const before = await fact('Fingerprint').innerText()
    await page.getByRole('button', { name: 'Replace the key' }).click()
    await page.getByRole('dialog', { name: 'Replace the key of nas?' }).getByRole('button', { name: 'Replace the key' }).click()
    await page.locator('.notice').filter({ hasText: 'The agent of nas was asked for a new key' }).waitFor()
    await until('the agent shows another key', async () => (await fact('Fingerprint').innerText()) !== before)
    await page.goto('/joining')
    const keys = section('Key of the controller')
    const own = await keys.locator('dt:text-is("Fingerprint") + dd').innerText()
    await keys.getByRole('button', { name: 'Replace the key' }).click()
    await look(page, 'controller-key-ask', problems)
    await page.getByRole('dialog').getByRole('button', { name: 'Replace the key' }).click()
    await until('the earlier key is shown as such', async () => (await keys.locator('dt:text-is("Earlier one") + dd').innerText()) === own)
    await until('every agent knows the new one', async () => {
      await keys.getByRole('button', { name: 'Look again' }).click()
      return (await keys.locator('dt:text-is("Not confirmed by") + dd').innerText()).startsWith('0 ')
    })
    await look(page, 'controller-key', problems)
  })

  test('a declared host is shown as such, and is not removed here', LIMIT, async () => {
    await page.goto('/joining')
    const declared = section('Declared hosts')
    await declared.getByRole('link', { name: 'rack' }).click()
    await page.getByText("in the controller's configuration file: it is changed and removed there").waitFor()
    const remove = page.getByRole('button', { name: 'Remove', exact: true })
    assert.equal(await remove.getAttribute('aria-disabled'), 'true')
    assert.match((await remove.getAttribute('title')) ?? '', /take it out there first/)
  })

  test('a join token is revoked, and nobody joins with it any more', LIMIT, async () => {
    await page.goto('/joining')
    await page.getByRole('button', { name: 'Revoke rack-2' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click()
    await page.locator('.notice').filter({ hasText: 'rack-2 was revoked' }).waitFor()
    await page.getByRole('row', { name: /rack-2/ }).waitFor({ state: 'detached' })
    const late = await parts.agent('late', engine, { ROADSTEAD_JOIN: token })
    await until('the agent is refused by name', () => /token/i.test(late.output()))
    await late.stop()
  })

  test('an API token for one host sees that one alone, and an administrator sees whose it is', LIMIT, async () => {
    await page.goto('/account')
    await section('API tokens').getByRole('button', { name: 'New token' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('nas-backup')
    await dialog.getByLabel('These hosts').selectOption({ label: 'nas' })
    await dialog.getByLabel('These hosts').selectOption({ label: 'rack' })
    await dialog.getByRole('button', { name: 'Leave out rack' }).click()
    await look(page, 'token-hosts', problems)
    await dialog.getByRole('button', { name: 'Make the token' }).click()
    const secret = await dialog.locator('pre').innerText()
    await dialog.getByRole('button', { name: 'I have kept it' }).click()
    const answer = await fetch(`${controller.url}/api/instances`, { headers: { authorization: `Bearer ${secret}` } })
    assert.deepEqual((await answer.json()).instances.map((one) => one.name), ['nas'])
    await page.goto('/people?person=admin')
    await page.getByRole('dialog').getByRole('listitem').filter({ hasText: /nas-backup.*nas/s }).waitFor()
    await look(page, 'person-tokens', problems)
  })

  test('German, and what a viewer sees', LIMIT, async () => {
    await page.goto('/joining')
    await page.getByLabel('Language').selectOption('de')
    await page.getByRole('heading', { name: 'Beitritt', level: 1 }).waitFor()
    await look(page, 'joining-german', problems)
    const answer = await page.request.post('/api/users', {
      data: { name: 'vera', role: 'viewer', password: PASSWORD },
      headers: { origin: controller.url },
    })
    assert.equal(answer.status(), 201)
    const vera = await open(browser, controller.url)
    await vera.page.goto('/')
    await vera.page.getByLabel('User name').fill('vera')
    await vera.page.getByLabel('Password').fill(PASSWORD)
    await vera.page.getByRole('button', { name: 'Sign in' }).click()
    await vera.page.getByRole('article', { name: 'nas' }).waitFor()
    assert.equal(await vera.page.getByRole('link', { name: 'Joining' }).count(), 0)
    await vera.page.goto('/joining')
    await vera.page.locator('main').getByText('Your role may look, not change').waitFor()
    await vera.page.goto('/')
    await vera.page.getByRole('article', { name: 'nas' }).getByRole('link', { name: 'nas', exact: true }).first().click()
    await vera.page.getByRole('link', { name: 'About' }).click()
    const replace = vera.page.getByRole('button', { name: 'Replace the key' })
    assert.match((await replace.getAttribute('title')) ?? '', /Only administrators/)
    assert.deepEqual(vera.problems, [])
    await vera.context.close()
  })
})
