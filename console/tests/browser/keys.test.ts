/** What people do on a server with keys: tokens, rights, expiry. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { furnish } from './people.ts'
import { Stage, token } from './stage.ts'

const stage = new Stage({ keys: true })
beforeAll(async () => {
  await stage.open()
  await furnish(stage)
})
afterAll(() => stage.close())

test('k9_a_bad_token_is_told_and_a_good_one_is_kept_only_if_asked', async () => {
  const visitor = await stage.visitor()
  const { page } = visitor
  await visitor.goto('/graphs?tag=billing')
  await page.fill('input[type=password]', 'not.a.token')
  await page.click('text=Sign in')
  await page.waitForSelector('[role=alert]')
  expect(await visitor.axe()).toEqual([])
  await visitor.shot('sign-in-token')
  const mine = token('ada', { 'team-a.*': 'read' })
  await page.fill('input[type=password]', mine)
  await page.click('button:has-text("Sign in")')
  await page.waitForSelector('text=Invoice approval')
  expect(
    await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href])),
  ).not.toContain(mine)
  await page.reload()
  await page.fill('input[type=password]', mine)
  await page.check('input[type=checkbox]')
  await page.click('button:has-text("Sign in")')
  await page.waitForSelector('text=Invoice approval')
  expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).toContain(mine)
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain(mine)
  await page.reload()
  await page.waitForSelector('text=Invoice approval')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k2_rights_decide_what_can_be_chosen', async () => {
  const visitor = await stage.visitor({ user: token('bob', { 'team-a.*': 'write' }) })
  const { page } = visitor
  await visitor.goto('/graphs')
  await page.waitForSelector('text=Invoice approval')
  expect(await page.locator('tbody tr').count()).toBe(2)
  await page.click('text=Unlock editing')
  await page.click('button:has-text("What to do with Invoice approval")')
  expect(await page.locator('[popover]:popover-open >> text=Move to the trash…').isDisabled()).toBe(true)
  expect(await page.locator('[popover]:popover-open >> text=Copy…').isDisabled()).toBe(false)
  for (const [path, text] of [
    ['/operations', 'Choose a graph'],
    ['/operations?graphs=team-a.flow-1', 'bob wrote check'],
    ['/operations?graphs=team-b.flow-5', 'You may not see this'],
    ['/subscriptions', 'You may not see this'],
    ['/subscriptions/mailer/parked', 'You may not see this'],
    ['/system', 'There is more for admins'],
  ] as const) {
    await visitor.goto(path)
    await page.waitForSelector(`text=${text}`)
    expect(await visitor.axe()).toEqual([])
  }
  await visitor.shot('system-without-admin')
  expect(visitor.faults).toEqual([])
  expect(visitor.writes).toEqual([])
  await visitor.close()
})

test('k2_who_may_only_read_can_not_unlock', async () => {
  const visitor = await stage.visitor({ user: token('eve', { 'team-a.*': 'read' }) })
  await visitor.goto('/graphs')
  await visitor.page.waitForSelector('text=Invoice approval')
  expect(await visitor.page.locator('button:has-text("Unlock editing")').isDisabled()).toBe(true)
  await visitor.close()
})

test('k9_a_refused_token_holds_requests_until_there_is_another', async () => {
  const old = token('ada', { '*': 'admin' })
  const visitor = await stage.visitor({ user: old })
  const { page } = visitor
  await visitor.goto('/subscriptions')
  await page.waitForSelector('text=audit-export')
  // As after the removal of a key.
  await page.route('**/*', async (route) => {
    if ((await route.request().headerValue('authorization')) !== `Bearer ${old}`) return route.continue()
    const body = '{"code":"UNAUTHENTICATED","detail":"the key is not known","status":401,"title":"x","type":"x"}'
    return route.fulfill({ status: 401, contentType: 'application/problem+json', body })
  })
  await page.waitForSelector('dialog:has-text("Sign in again")', { timeout: 15_000 })
  expect(await page.locator('text=audit-export').count()).toBe(1)
  await page.fill('dialog input[type=password]', token('ada', { '*': 'admin' }, 7200))
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('dialog', { state: 'detached' })
  await page.click('a:has-text("mailer")')
  await page.waitForSelector('text=SMTP 550')
  expect(await page.locator('[role=alert]').count()).toBe(0)
  await visitor.close()
})

test('k9_an_expired_token_asks_for_a_new_one_and_keeps_the_page', async () => {
  const visitor = await stage.visitor({ user: token('ada', { '*': 'admin' }, 4) })
  const { page } = visitor
  await visitor.goto('/graphs?q=re')
  await page.click('text=Unlock editing')
  await page.click('[aria-label="Select Refunds"]')
  await page.waitForSelector('dialog:has-text("Sign in again")', { timeout: 20_000 })
  expect(await visitor.axe()).toEqual([])
  await visitor.shot('expired')
  for (let i = 0; i < 3; i++) await page.keyboard.press('Escape')
  // Chromium closes it on the second one; it is shown again.
  await page.waitForSelector('dialog:modal', { timeout: 3_000 })
  await page.fill('dialog input[type=password]', token('bob', { '*': 'admin' }))
  await page.click('dialog button[type=submit]')
  await page.waitForSelector("text=This token is bob's")
  await page.fill('dialog input[type=password]', token('ada', { '*': 'admin' }))
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('dialog', { state: 'detached' })
  expect(await page.locator('[aria-label="Select Refunds"]').isChecked()).toBe(true)
  expect(page.url()).toContain('/graphs?q=re')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})
