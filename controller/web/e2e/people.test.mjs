// People and accounts: who is limited by tags, second factors, sessions, API tokens, and what administrators do.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import decode from 'qr/decode.js'
import { judge, launch, LIMIT, look, open, signIn } from './browser.mjs'
import { Parts, PASSWORD, until } from './parts.mjs'

/** The code of an authenticator app (RFC 6238) for `secret`, `steps` half minutes from now. */
function totp(secret, steps = 0) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps))
  const sum = createHmac('sha1', key).update(counter).digest()
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

/** What a camera would read from the page's QR code: its squares, drawn once more. */
async function scanned(svg) {
  const [, , size] = (await svg.getAttribute('viewBox')).split(' ').map(Number)
  const squares = [...(await svg.locator('path').getAttribute('d')).matchAll(/M(\d+) (\d+)h1v1h-1z/g)]
  const scale = 4
  const side = size * scale
  const data = new Uint8Array(side * side * 4).fill(255)
  for (const [, x, y] of squares) {
    for (let n = 0; n < scale * scale; n += 1) {
      const at = (Number(y) * scale + Math.floor(n / scale)) * side + Number(x) * scale + (n % scale)
      data.fill(0, at * 4, at * 4 + 3)
    }
  }
  return decode({ width: side, height: side, data })
}

describe('people and accounts', () => {
  const parts = new Parts()
  let browser, controller, page, problems, anna, password, secret, codes

  before(async () => {
    browser = await launch()
    controller = await parts.controller()
    ;({ page, problems } = await open(browser, controller.url))
    await signIn(page, PASSWORD)
    for (const [name, tag] of [['shop-host', 'shop'], ['other-host', 'other']]) {
      const answer = await page.request.post('/api/instances', { data: { name, tags: [tag] }, headers: { origin: controller.url } })
      assert.equal(answer.status(), 201, await answer.text())
    }
    anna = await open(browser, controller.url)
  })

  after(async () => {
    await browser?.close()
    await parts.end()
  })

  afterEach((test) => judge(test, controller, { page, problems }, anna))

  /** Fills in the sign-in page as anna. */
  async function annaSignsIn() {
    await anna.page.goto('/')
    await anna.page.getByLabel('User name').fill('anna')
    await anna.page.getByLabel('Password').fill(password)
    await anna.page.getByRole('button', { name: 'Sign in' }).click()
  }

  const section = (of, name) => of.getByRole('region', { name, exact: true })
  const host = (name) => anna.page.getByRole('article', { name })

  test('somebody limited by a tag is added, sees their hosts alone, and is told why not to change them', LIMIT, async () => {
    await page.getByRole('link', { name: 'People' }).click()
    await page.getByRole('button', { name: 'Add somebody' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('User name').fill('Anna')
    await dialog.getByLabel('Tags').fill('shop')
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog.getByRole('alert').filter({ hasText: /small letters/ }).waitFor()
    await dialog.getByLabel('User name').fill('anna')
    await look(page, 'person-add', problems)
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog.getByText('shown only now').waitFor()
    password = await dialog.locator('pre').innerText()
    await look(page, 'person-added', problems)
    await dialog.getByRole('button', { name: 'I have it' }).click()
    await page.getByRole('row', { name: /anna.*viewer.*shop/ }).waitFor()
    await look(page, 'people', problems)

    await annaSignsIn()
    await host('shop-host').waitFor()
    assert.equal(await host('other-host').count(), 0)
    const remove = anna.page.getByRole('button', { name: 'Remove shop-host' })
    assert.equal(await remove.getAttribute('aria-disabled'), 'true')
    assert.match((await remove.getAttribute('title')) ?? '', /Your role may look/)
    await remove.click({ force: true })
    assert.equal(await anna.page.getByRole('dialog').count(), 0)
    await look(anna.page, 'viewer', anna.problems)
    await host('shop-host').getByRole('link', { name: 'shop-host', exact: true }).click()
    const edit = anna.page.getByRole('button', { name: 'Edit', exact: true })
    await edit.waitFor()
    assert.equal(await edit.getAttribute('aria-disabled'), 'true')
    assert.match((await edit.getAttribute('title')) ?? '', /Your role may look/)
    await edit.click({ force: true })
    assert.equal(await anna.page.getByRole('dialog').count(), 0)
    // The form by its address says the same, and saves nothing.
    await anna.page.goto(`${new URL(anna.page.url()).pathname}?edit=host`)
    const form = anna.page.getByRole('dialog', { name: 'Edit shop-host' })
    await form.getByText(/Your role may look/).waitFor()
    assert.equal(await form.getByRole('button', { name: 'Save' }).isDisabled(), true)
    assert.equal(await anna.page.getByRole('link', { name: /People|Audit/ }).count(), 0)
    await anna.page.goto('/people')
    await anna.page.locator('main').getByText('Only administrators manage people').last().waitFor()
    await anna.page.goto('/rollouts/new')
    await anna.page.getByRole('alert').filter({ hasText: 'Your role may look, not change' }).waitFor()
    assert.equal(await anna.page.getByRole('button', { name: 'Start', exact: true }).isDisabled(), true)
  })

  test('a second factor is set up with an app, and its recovery codes are shown once', LIMIT, async () => {
    await anna.page.locator('header summary').click()
    await anna.page.getByRole('link', { name: 'Account' }).click()
    const factor = section(anna.page, 'Second factor')
    await factor.getByText('Off: the password alone lets in').waitFor()
    await look(anna.page, 'account', anna.problems)
    await factor.getByRole('button', { name: 'Set up' }).click()
    await factor.getByLabel('Current password').fill('not-the-password')
    await factor.getByRole('button', { name: 'Go on' }).click()
    await factor.getByRole('alert').filter({ hasText: /wrong/ }).waitFor()
    await factor.getByLabel('Current password').fill(password)
    await factor.getByRole('button', { name: 'Go on' }).click()
    const code = await scanned(factor.getByRole('img', { name: /QR code/ }))
    assert.match(code, /^otpauth:\/\/totp\/Roadstead:anna\?secret=[A-Z2-7]{32}&issuer=Roadstead$/)
    secret = await section(factor, 'Secret').innerText()
    assert(code.includes(secret))
    assert.equal(await section(factor, 'Link').innerText(), code)
    await look(anna.page, 'second-factor', anna.problems)
    await factor.getByLabel('First code').fill('000000')
    await factor.getByRole('button', { name: 'Confirm' }).click()
    await factor.getByRole('alert').filter({ hasText: /wrong/ }).waitFor()
    await factor.getByLabel('First code').fill(totp(secret, -1))
    await factor.getByRole('button', { name: 'Confirm' }).click()
    await factor.getByText('On; 10 recovery codes left').waitFor()
    codes = (await section(factor, 'Recovery codes').innerText()).split('\n')
    assert.equal(codes.length, 10)
    await look(anna.page, 'recovery-codes', anna.problems)
    await anna.page.reload()
    await factor.getByText('On; 10 recovery codes left').waitFor()
    assert(!(await anna.page.locator('body').innerText()).includes(codes[0]))
  })

  test('signing in asks for the code, and takes a recovery code once', LIMIT, async () => {
    await anna.page.locator('header summary').click()
    await anna.page.locator('header').getByRole('button', { name: 'Sign out' }).click()
    await annaSignsIn()
    await anna.page.getByLabel('Code').fill('123456')
    await look(anna.page, 'sign-in-code', anna.problems)
    await anna.page.getByRole('button', { name: 'Sign in' }).click()
    await anna.page.getByRole('alert').filter({ hasText: /code is wrong/ }).waitFor()
    await anna.page.getByLabel('Code').fill(totp(secret, 1))
    await anna.page.getByRole('button', { name: 'Sign in' }).click()
    await host('shop-host').waitFor()
    await anna.context.clearCookies()
    await annaSignsIn()
    await anna.page.getByLabel('Code').fill(codes[0])
    await anna.page.getByRole('button', { name: 'Sign in' }).click()
    await host('shop-host').waitFor()
    await anna.page.goto('/account')
    await section(anna.page, 'Second factor').getByText('On; 9 recovery codes left').waitFor()
  })

  test('a password is changed, which ends the other sessions', LIMIT, async () => {
    const sessions = section(anna.page, 'Open sessions')
    await until('two sessions are open', async () => (await sessions.getByRole('listitem').count()) === 2)
    const form = section(anna.page, 'Password')
    await form.getByLabel('Current password').fill(password)
    await form.getByLabel('Code').fill(codes[1])
    await form.getByLabel('New password (').fill('a-better-password')
    await form.getByLabel('The new password again').fill('a-bitter-password')
    await form.getByRole('button', { name: 'Change the password' }).click()
    await form.getByRole('alert').filter({ hasText: 'not the same' }).waitFor()
    await form.getByLabel('The new password again').fill('a-better-password')
    await form.getByRole('button', { name: 'Change the password' }).click()
    await anna.page.locator('.notice').filter({ hasText: 'The password is changed' }).waitFor()
    password = 'a-better-password'
    await anna.page.reload()
    await sessions.getByText('this one').waitFor()
    assert.equal(await sessions.getByRole('listitem').count(), 1)
  })

  test('an API token never may more than who makes it, is shown once, and is of no use once revoked', LIMIT, async () => {
    const tokens = section(anna.page, 'API tokens')
    await tokens.getByRole('button', { name: 'New token' }).click()
    const dialog = anna.page.getByRole('dialog')
    await dialog.getByText('A token never may more than who makes it').waitFor()
    assert.equal(await dialog.getByRole('option', { name: 'run commands' }).isDisabled(), true)
    await dialog.getByLabel('Name').fill('backup')
    await dialog.getByLabel('It is good for').selectOption('30d')
    await dialog.getByLabel('Only hosts tagged').fill('shop')
    await look(anna.page, 'token-new', anna.problems)
    await dialog.getByRole('button', { name: 'Make the token' }).click()
    await dialog.getByText('shown only now').waitFor()
    const token = await dialog.locator('pre').innerText()
    assert.match(token, /^rst_/)
    await look(anna.page, 'token-made', anna.problems)
    await dialog.getByRole('button', { name: 'I have kept it' }).click()
    const ask = () => fetch(`${controller.url}/api/instances`, { headers: { authorization: `Bearer ${token}` } })
    const seen = await (await ask()).json()
    assert.deepEqual(seen.instances.map((one) => one.name), ['shop-host'])
    await anna.page.reload()
    await tokens.getByRole('listitem').filter({ hasText: /backup.*look.*shop/s }).getByText(/ ago/).waitFor()
    await look(anna.page, 'tokens', anna.problems)
    await tokens.getByRole('button', { name: 'Revoke backup' }).click()
    await anna.page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click()
    await tokens.getByText('None.').waitFor()
    assert.equal((await ask()).status, 401)
  })

  test('a session that is ended asks its browser to sign in again', LIMIT, async () => {
    const third = await open(browser, controller.url)
    await signIn(third.page, PASSWORD)
    await page.goto('/account')
    const others = section(page, 'Open sessions').getByRole('listitem').filter({ hasNotText: 'this one' })
    await others.getByRole('button', { name: 'End' }).click()
    await others.waitFor({ state: 'detached' })
    await third.page.getByRole('button', { name: 'Check the health of shop-host' }).click()
    await third.page.getByRole('dialog', { name: 'Your session has ended' }).waitFor()
    assert.deepEqual(third.problems, [])
    await third.context.close()
  })

  test('the last administrator stays one, and the page says why', LIMIT, async () => {
    await page.goto('/people?person=admin')
    const sheet = page.getByRole('dialog', { name: 'admin' })
    for (const name of ['Remove', 'Keep out']) {
      const button = sheet.getByRole('button', { name, exact: true })
      assert.equal(await button.getAttribute('aria-disabled'), 'true')
      assert.match((await button.getAttribute('title')) ?? '', /last administrator/)
    }
    assert.equal(await sheet.getByLabel('Role').isDisabled(), true)
    await look(page, 'person-last', problems)
    await page.keyboard.press('Escape')
    await sheet.waitFor({ state: 'detached' })
  })

  test('an administrator changes a role, resets password and second factor, keeps out and removes', LIMIT, async () => {
    await page.getByRole('button', { name: 'anna', exact: true }).click()
    const sheet = page.getByRole('dialog', { name: 'anna' })
    await sheet.getByLabel('Role').selectOption('operator')
    await sheet.getByRole('button', { name: 'Save' }).click()
    await page.locator('.notice').filter({ hasText: 'anna was changed' }).waitFor()
    await anna.page.goto('/')
    await anna.page.getByRole('button', { name: 'Remove shop-host' }).click()
    await anna.page.getByRole('dialog', { name: 'Remove shop-host?' }).getByRole('button', { name: 'Keep it' }).click()
    assert.equal(await host('other-host').count(), 0)

    await sheet.getByRole('button', { name: 'Take the second factor away' }).click()
    await sheet.getByRole('alert').getByRole('button', { name: 'Take the second factor away' }).click()
    await page.locator('.notice').filter({ hasText: 'The second factor of anna is off' }).waitFor()
    const reset = sheet.getByRole('button', { name: 'Take the second factor away' })
    await until('there is none to take away', async () => (await reset.getAttribute('title')) === 'There is none')
    await sheet.getByRole('button', { name: 'New password' }).click()
    await look(page, 'person-asked', problems)
    await sheet.getByRole('alert').getByRole('button', { name: 'New password' }).click()
    await sheet.getByText('shown only now').waitFor()
    password = await sheet.locator('pre').innerText()
    await look(page, 'person', problems)
    await annaSignsIn()
    await host('shop-host').waitFor()

    await sheet.getByRole('button', { name: 'Keep out' }).click()
    await sheet.getByText('kept out', { exact: false }).first().waitFor()
    await anna.page.getByRole('button', { name: 'Check the health of shop-host' }).click()
    const again = anna.page.getByRole('dialog', { name: 'Your session has ended' })
    await again.getByLabel('Password').fill(password)
    await again.getByRole('button', { name: 'Sign in' }).click()
    await again.getByRole('alert').waitFor()
    await sheet.getByRole('button', { name: 'Let in again' }).click()
    await sheet.getByRole('button', { name: 'Keep out' }).waitFor()
    await sheet.getByRole('button', { name: 'Remove', exact: true }).click()
    await sheet.getByRole('button', { name: 'Remove for good' }).click()
    await page.locator('.notice').filter({ hasText: 'anna was removed' }).waitFor()
    await page.getByRole('button', { name: 'anna', exact: true }).waitFor({ state: 'detached' })
  })

  test('German', LIMIT, async () => {
    await page.getByLabel('Language').selectOption('de')
    await page.getByRole('heading', { name: 'Personen', level: 1 }).waitFor()
    await look(page, 'people-german', problems)
    await page.goto('/account')
    await page.getByRole('heading', { name: 'Zweiter Faktor' }).waitFor()
    await look(page, 'account-german', problems)
  })
})
