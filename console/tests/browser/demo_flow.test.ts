/** The page of `dao-api demo`: what its buttons promise happens, on a real server that is really killed. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DemoStage, Editor, equal, told } from './demo_stage.ts'
import { Stage, until, type Visitor } from './stage.ts'

const demo = new DemoStage()
let visitor: Visitor
let page: Page
let ada: Editor
let bob: Editor

beforeAll(async () => {
  await demo.open()
})
afterAll(() => demo.close())

const press = (name: string | RegExp): Promise<void> => page.locator('.acts').getByRole('button', { name }).click()
/** The act is over: its button can be pressed again. */
const done = (): Promise<void> => page.locator('.panel-head .spinner').waitFor({ state: 'detached', timeout: 40_000 })

async function come(theme: 'light' | 'dark' = 'light'): Promise<void> {
  visitor = await demo.visitor(theme)
  page = visitor.page
  ada = new Editor(page, 'ada')
  bob = new Editor(page, 'bob')
}

describe('two editors', () => {
  beforeEach(async () => {
    await come()
    return async () => {
      expect(visitor.faults).toEqual([])
      await visitor.close()
    }
  })

  test('both show the graph, and nothing has to be scrolled at 1280 by 800', async () => {
    await ada.sees('Return requested')
    await bob.sees('Return requested')
    await equal(page)
    const fits = await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight)
    expect(fits).toBe(true)
    await visitor.shot('demo_begin')
  })

  test("an edit of Ada's shows at Bob's within a second, and in the list of commits", async () => {
    await ada.rename('Explain why not', 'Say why not')
    await bob.sees('Say why not', 1_000)
    await page.locator('.commit').first().getByText('Say why not').waitFor()
    expect(await page.locator('.commit').first().textContent()).toContain('ada')
    const href = await page.locator('.commit a').first().getAttribute('href')
    expect(href).toBe(`/console/graphs/demo@${(await demo.state()).version}`)
    const [opened] = await Promise.all([
      visitor.context.waitForEvent('page'),
      page.locator('.commit a').first().click(),
    ])
    // Signed in as this tab is.
    await opened.getByRole('navigation', { name: 'Main' }).waitFor()
  })

  test("a pointer in Ada's editor shows in Bob's", async () => {
    const box = (await ada.root.locator('.react-flow').boundingBox())!
    await page.mouse.move(box.x + 200, box.y + 40)
    await page.mouse.move(box.x + 220, box.y + 44)
    await bob.root.locator('.dao-cursor-name').getByText('Ada').waitFor()
  })

  test('broken connection: Bob edits offline, then exactly the missing commits come, and both are equal', async () => {
    await press('Break Bob')
    await told(page, 'every new one is refused')
    await done()
    await bob.root.getByRole('button', { name: 'Add a step' }).click()
    await bob.root.getByText('Connection broken · 1 edit waiting').waitFor()
    await ada.rename('Send another one', 'Send a new one')
    const commit = page.locator('.commit').first()
    await commit.getByText('Send a new one').waitFor()
    const missed = (await demo.state()).version
    expect(await bob.labels()).not.toContain('Send a new one')
    await visitor.shot('demo_broken')
    await press('Reconnect Bob')
    await told(page, `exactly what he missed: version ${missed}.`)
    await told(page, `His 1 edit went in as version ${missed + 1}`)
    await told(page, 'Both editors show version')
    await equal(page)
    await visitor.shot('demo_reconnected')
  })

  test('conflict: explained in the editor, tried again, both equal', async () => {
    await press('Conflict')
    const card = bob.root.locator('.refusal')
    await card.waitFor({ timeout: 20_000 })
    expect(await card.textContent()).toMatch(/Ada was first.*Ada changed label of.*in version \d+.*Yours/s)
    await told(page, '409 CONFLICT')
    await done()
    await visitor.shot('demo_conflict')
    const mine = await card.locator('dd').first().textContent()
    await card.getByRole('button', { name: 'Use mine' }).click()
    await told(page, 'so it goes in')
    await ada.sees(mine!)
    await equal(page)
    expect((await demo.state()).nodes.find(({ id }) => id === 'refund')?.data.label).toBe(mine)
    await page.locator('.commit[data-status=conflict]').first().waitFor()
  })

  test('conflict: or what Ada wrote is kept', async () => {
    await press('Conflict')
    const card = bob.root.locator('.refusal')
    await card.waitFor({ timeout: 20_000 })
    await done()
    const hers = await card.locator('dd').nth(1).textContent()
    await card.getByRole('button', { name: 'Keep Ada' }).click()
    await told(page, 'Nothing was written')
    await bob.sees(hers!)
    await equal(page)
  })

  test("undo takes back one's own work only", async () => {
    await ada.rename('Check the receipt', 'Read the receipt')
    await bob.sees('Read the receipt')
    await bob.rename('Tell the customer', 'Call the customer')
    await ada.sees('Call the customer')
    await press('Undo as Ada')
    await bob.sees('Check the receipt')
    await told(page, "as before Ada's last edit")
    expect(await ada.labels()).toContain('Call the customer')
    await equal(page)
  })

  test('kill -9: both edit meanwhile, and when the server is back nothing is lost', async () => {
    const before = await demo.commits()
    await press('Kill the server')
    await told(page, 'kill -9')
    await told(page, 'Both go on editing')
    await visitor.shot('demo_killed')
    await told(page, 'Nothing acknowledged is lost', 40_000)
    await told(page, 'Both editors show version')
    await done()
    await equal(page)
    const after = await demo.commits()
    expect(after.slice(0, before.length)).toEqual(before)
    expect(
      after
        .slice(before.length)
        .map(({ userId }) => userId)
        .sort(),
    ).toEqual(['ada', 'bob'])
    await visitor.shot('demo_back')
  })

  test('by keyboard alone: a step is renamed, moved and undone', async () => {
    await ada.node('Put back on the shelf').focus()
    await page.keyboard.press('Enter')
    await page.keyboard.type('Shelve it')
    await page.keyboard.press('Enter')
    await bob.sees('Shelve it')
    await page.keyboard.press('Control+z')
    await bob.sees('Put back on the shelf')
    const { version } = await demo.state()
    await page.keyboard.press('Space')
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowDown')
    await until('it is moved, as one commit', async () => (await demo.state()).version === version + 1)
    await page.locator('.acts').getByRole('button', { name: 'Break Bob' }).focus()
    await page.keyboard.press('Enter')
    await told(page, 'every new one is refused')
    await done()
    await page.keyboard.press('Enter')
    await told(page, 'Both editors show version')
  })
})

for (const theme of ['light', 'dark'] as const)
  test(`no rule of accessibility is broken: ${theme}`, async () => {
    await come(theme)
    await page.locator('.commit').first().waitFor()
    expect(await visitor.axe()).toEqual([])
    await press('Conflict')
    await bob.root.locator('.refusal').waitFor({ timeout: 20_000 })
    await done()
    expect(await visitor.axe()).toEqual([])
    await visitor.shot(`demo_${theme}`)
    expect(visitor.faults).toEqual([])
    await visitor.close()
  })

test('on another server the page says where it belongs', async () => {
  const stage = await new Stage().open()
  const stranger = await stage.visitor()
  await stranger.goto('/demo')
  await stranger.page.getByRole('heading', { name: 'This page belongs to dao-api demo' }).waitFor()
  expect(await stranger.axe()).toEqual([])
  expect(stranger.writes).toEqual([])
  await stranger.shot('demo_elsewhere')
  await stage.close()
})

test('leaving the page ends both connections', async () => {
  await come()
  const open = async (): Promise<number> => {
    const { connections } = (await demo.stage.ask('test', 'GET', '/connections')) as { connections: unknown[] }
    return connections.length
  }
  await until('two connections', async () => (await open()) === 2)
  await page.getByRole('link', { name: 'Open the console' }).click()
  await until('no connection', async () => (await open()) === 0)
  await visitor.close()
})
