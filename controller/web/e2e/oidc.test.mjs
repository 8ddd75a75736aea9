// Signing in at a real provider: groups become roles, at each sign-in anew, in a browser that comes from another site.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { judge, launch, LIMIT, look, open, signIn } from './browser.mjs'
import { freePort, Parts, PASSWORD } from './parts.mjs'
import { CLIENT, startProvider } from './provider.mjs'

describe('signing in at a provider', () => {
  const parts = new Parts()
  const people = new Map([['anna', ['everybody', 'shop-team']]])
  let browser, controller, provider, page, context, problems

  before(async () => {
    browser = await launch()
    const listen = `127.0.0.1:${await freePort()}`
    provider = await startProvider(`http://${listen}/oidc/callback`, people)
    parts.ends(() => provider.stop())
    controller = await parts.controller({
      listen,
      settings: {
        ROADSTEAD_PUBLIC_URL: `http://${listen}`,
        ROADSTEAD_OIDC_ISSUER: provider.issuer,
        ROADSTEAD_OIDC_CLIENT_ID: CLIENT.id,
        ROADSTEAD_OIDC_CLIENT_SECRET: CLIENT.secret,
        ROADSTEAD_OIDC_SCOPES: 'openid profile',
        ROADSTEAD_OIDC_GROUPS: 'shop-team=operator:shop; staff=viewer',
        ROADSTEAD_OIDC_LABEL: 'the house',
        ROADSTEAD_LOG: 'trace',
      },
    })
    ;({ page, context, problems } = await open(browser, controller.url, { also: [provider.issuer] }))
  })

  after(async () => {
    await browser?.close()
    await parts.end()
  })

  afterEach(async (test) => {
    await judge(test, controller, { page, problems })
    for (const secret of secrets()) assert(!controller.output().includes(secret), 'a secret is in the log')
  })

  /** The client's secret as it is, in a form, and in a header. */
  function secrets() {
    const escaped = [CLIENT.id, CLIENT.secret].map((part) => new URLSearchParams({ part }).toString().slice('part='.length))
    return [CLIENT.secret, escaped[1], Buffer.from(escaped.join(':')).toString('base64')]
  }

  const button = () => page.getByRole('button', { name: 'Sign in with the house' })
  const menu = () => page.locator('header details')

  /** Whose session it is, and what the menu says of it. */
  async function whoIs() {
    await menu().locator('summary').click()
    const words = [await menu().locator('summary').innerText(), await menu().locator('.menu p').first().innerText()]
    await menu().locator('summary').click()
    return words.join(', ')
  }

  async function signOut() {
    await menu().locator('summary').click()
    await menu().getByRole('button', { name: 'Sign out' }).click()
    await button().waitFor()
  }

  test('a group makes an operator, who comes back to the page that was wanted', LIMIT, async () => {
    await page.goto('/events?q=nas')
    await button().waitFor()
    await look(page, 'sign-in-provider', problems)
    await button().click()
    await page.waitForURL(`${provider.issuer}/interaction/**`)
    await page.getByLabel('Login').fill('anna')
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByRole('heading', { name: 'Events', level: 1 }).waitFor()
    assert.equal(page.url(), `${controller.url}/events?q=nas`)
    assert.match(await whoIs(), /anna.*operator/i)
    const session = (await context.cookies()).find((one) => one.name === 'roadstead_session')
    assert.deepEqual([session.sameSite, session.httpOnly], ['Strict', true])
    await page.reload()
    await page.getByRole('heading', { name: 'Events', level: 1 }).waitFor()
    await page.goBack().catch(() => undefined)
    assert(!page.url().includes('code='), page.url())
    await page.goto('/account')
    await page.getByText(`You sign in at ${provider.issuer}`).waitFor()
    assert.equal(await page.getByLabel('Current password').count(), 0)
    await look(page, 'account-external', problems)
  })

  test('another group makes a viewer at the next sign-in', LIMIT, async () => {
    people.set('anna', ['staff'])
    await signOut()
    // The provider knows her still.
    await button().click()
    await page.getByRole('heading', { name: 'Instances', level: 1 }).or(page.getByRole('heading', { name: 'Account', level: 1 })).waitFor()
    assert.match(await whoIs(), /anna.*viewer/i)
  })

  test('an administrator sees where she comes from, and why nothing of it is changed here', LIMIT, async () => {
    const admin = await open(browser, controller.url)
    await signIn(admin.page, PASSWORD)
    await admin.page.goto('/people')
    await admin.page.getByRole('row', { name: /anna.*localhost.*viewer/ }).waitFor()
    await look(admin.page, 'people-external', admin.problems)
    await admin.page.getByRole('button', { name: 'anna', exact: true }).click()
    const sheet = admin.page.getByRole('dialog', { name: 'anna' })
    assert.equal(await sheet.getByLabel('Role').isDisabled(), true)
    await sheet.getByText(`Follows from the groups at ${provider.issuer}`).waitFor()
    const reset = sheet.getByRole('button', { name: 'New password' })
    assert.match((await reset.getAttribute('title')) ?? '', /signs in at/)
    await look(admin.page, 'person-external', admin.problems)
    assert.deepEqual(admin.problems, [])
    await admin.context.close()
  })

  test('nobody comes in without a group, and is told so', LIMIT, async () => {
    people.set('anna', ['everybody'])
    await signOut()
    await button().click()
    await page.getByRole('alert').filter({ hasText: 'signed in as anna, and none of your groups lets you in here' }).waitFor()
    assert.equal(new URL(page.url()).pathname, '/')
    await look(page, 'sign-in-no-group', problems)
    const sessions = await page.request.get('/api/session')
    assert.equal(sessions.status(), 401)
  })

  test('a return that this browser did not ask for lets nobody in', LIMIT, async () => {
    await page.goto(`/oidc/callback?code=stolen&state=${'x'.repeat(43)}&iss=${encodeURIComponent(provider.issuer)}`)
    await page.getByRole('alert').filter({ hasText: 'begun in another browser' }).waitFor()
    assert(!page.url().includes('stolen'))
    await button().waitFor()
  })

  test('a session that is ended is begun again at the provider, on the page where one was', LIMIT, async () => {
    people.set('anna', ['shop-team'])
    await button().click()
    await page.getByRole('heading', { name: 'Instances', level: 1 }).waitFor()
    await page.goto('/commands')
    await page.getByRole('heading', { name: 'Commands', level: 1 }).waitFor()
    await context.clearCookies({ name: 'roadstead_session' })
    await page.reload()
    await button().click()
    await page.getByRole('heading', { name: 'Commands', level: 1 }).waitFor()
    assert.equal(page.url(), `${controller.url}/commands`)
  })

  test('the page speaks German', LIMIT, async () => {
    const german = await open(browser, controller.url, { locale: 'de-DE' })
    await german.page.goto('/')
    await german.page.getByRole('button', { name: 'Anmelden mit the house' }).waitFor()
    assert.deepEqual(german.problems, [])
    await german.context.close()
  })

  test('the secret is nowhere in what the controller keeps', LIMIT, () => {
    const folder = join(parts.folder, 'controller')
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
    assert(files.some((one) => one.name === 'roadstead.db'))
    for (const file of files) {
      const bytes = readFileSync(join(file.parentPath, file.name))
      for (const secret of secrets()) assert(!bytes.includes(secret), file.name)
    }
  })

  test('passwords go on working while the provider is away', LIMIT, async () => {
    await signOut()
    // What is known of a provider is kept: this controller has asked nothing yet.
    await provider.stop()
    const listen = `127.0.0.1:${await freePort()}`
    const second = await parts.controller({
      listen,
      data: 'second',
      settings: {
        ROADSTEAD_PUBLIC_URL: `http://${listen}`,
        ROADSTEAD_OIDC_ISSUER: provider.issuer,
        ROADSTEAD_OIDC_CLIENT_ID: CLIENT.id,
        ROADSTEAD_OIDC_DEFAULT_ROLE: 'viewer',
      },
    })
    const other = await open(browser, second.url)
    await other.page.goto('/')
    await other.page.getByRole('button', { name: 'Sign in with localhost' }).click()
    await other.page.getByRole('alert').filter({ hasText: /does not answer.*passwords go on working/ }).waitFor()
    await look(other.page, 'sign-in-provider-away', other.problems)
    await signIn(other.page, PASSWORD)
    assert.deepEqual(other.problems, [])
    await other.context.close()
  })
})
