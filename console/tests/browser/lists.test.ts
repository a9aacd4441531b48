/** Lists and single operations when something is odd: ids, failures, many graphs at once. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { furnish } from './people.ts'
import { Stage } from './stage.ts'

const stage = new Stage({ prefix: '/tools/dao' })
const ODD = '100%25 a/b?c#d'
beforeAll(async () => {
  await stage.open()
  await furnish(stage)
  const nodes = [{ id: ODD, position: { x: 0, y: 0 }, data: { label: 'Odd one' } }]
  await stage.command('ada', 'odd', 'CREATE_GRAPH', { attributes: { title: 'Odd' }, document: { nodes, edges: [] } })
  for (const id of ['bulk-1', 'bulk-2', 'bulk-3'])
    await stage.command('ada', id, 'CREATE_GRAPH', { attributes: { title: id, tags: ['bulk'] } })
})
afterAll(() => stage.close())

test('k1_ids_with_a_percent_sign_open_what_they_name', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/operations/%25')
  await page.waitForSelector('[role=alert]')
  expect(await page.locator('text=This page has failed').count()).toBe(0)
  await visitor.goto(`/graphs/odd?node=${encodeURIComponent(ODD)}`)
  await page.waitForSelector('h2:has-text("Odd one")')
  await page.click('nav >> text=Graphs')
  await page.waitForSelector('text=Invoice approval')
  expect(new URL(page.url()).pathname).toBe('/tools/dao/console/graphs')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k7_a_commit_that_cannot_be_read_now_is_told_and_read_again', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const body = JSON.stringify({ type: '', title: 'Away', status: 503, code: 'STORE_UNAVAILABLE', detail: 'away' })
  await page.route('**/graphs/odd/changes?*', (route) => route.fulfill({ status: 503, body }))
  await visitor.goto('/operations?graphs=odd')
  await page.click('text=details')
  await page.waitForSelector("text=The commit v1 can't be read now.")
  expect(await page.locator('.refusal').textContent()).toBe('ada ran CREATE_GRAPH.')
  await visitor.shot('operation-unread')
  await page.unroute('**/graphs/odd/changes?*')
  await page.click('text=Try again')
  await page.waitForSelector('text=What changed')
  expect(await page.locator('[role=alert]').count()).toBe(0)
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k8_a_file_chooser_that_is_cancelled_leaves_the_dialog_open', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs')
  await page.click('text=Unlock editing')
  await page.click('text=New graph')
  const file = page.locator('dialog input[type=file]')
  await file.dispatchEvent('cancel', { bubbles: true })
  expect(await page.locator('dialog[open]').count()).toBe(1)
  await page.fill('dialog label:has-text("Id") input', 'from-a-file')
  await file.setInputFiles({ name: 'a.json', mimeType: 'application/json', buffer: Buffer.from('no') })
  await page.waitForSelector('text=The file is not valid JSON.')
  await page.click('dialog button[type=submit]')
  expect(await page.locator('dialog[open]').count()).toBe(1)
  await page.keyboard.press('Escape')
  await page.waitForSelector('dialog', { state: 'detached' })
  expect(visitor.writes).toEqual([])
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k2_many_graphs_go_into_the_trash_and_what_was_refused_is_done_again', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs?tag=bulk')
  await page.click('text=Unlock editing')
  for (const id of ['bulk-1', 'bulk-2', 'bulk-3']) await page.click(`[aria-label="Select ${id}"]`)
  const body = JSON.stringify({ type: '', title: 'Busy', status: 429, code: 'RATE_LIMITED', detail: 'busy' })
  await page.route('**/graphs/bulk-2*', (route) => route.fulfill({ status: 429, body }))
  await page.click('text=Move to the trash…')
  await page.locator('dialog label:has-text("to go on") input').fill('trash 3')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('dialog li:has-text("RATE_LIMITED")')
  await page.waitForSelector('[aria-label="Select bulk-1"]', { state: 'detached' })
  await page.unroute('**/graphs/bulk-2*')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('dialog', { state: 'detached' })
  await page.waitForSelector('text=No graph matches')
  expect(await page.locator('[role=toolbar]').count()).toBe(0)
  const [first, again] = [visitor.writes.slice(0, 3), visitor.writes.slice(3)]
  expect(first.sort()).toEqual(['1', '2', '3'].map((n) => `DELETE /tools/dao/graphs/bulk-${n}`))
  expect(again).toEqual(['DELETE /tools/dao/graphs/bulk-2'])
  await page.selectOption('label:has-text("Trash") select', 'only')
  await page.waitForSelector('[aria-label="Select bulk-2"]')
  expect(await page.locator('tbody input:checked').count()).toBe(0)
  expect(visitor.faults).toEqual([])
  await visitor.close()
})
