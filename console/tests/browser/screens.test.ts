/** Every screen in both themes: no broken rule of accessibility, no violation of the policy, nothing foreign, nothing but GET. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CONFLICT, furnish } from './people.ts'
import { themes } from './places.ts'
import { Stage, type Visitor } from './stage.ts'

const stage = new Stage()
beforeAll(async () => {
  await stage.open()
  await furnish(stage)
})
afterAll(() => stage.close())

interface Screen {
  name: string
  path: string
  /** What is seen when the screen is there. */
  shows: string
  user?: null
  act?: (visitor: Visitor) => Promise<void>
}

const click =
  (...selectors: string[]) =>
  async ({ page }: Visitor): Promise<void> => {
    for (const selector of selectors) await page.click(selector)
  }

const SCREENS: readonly Screen[] = [
  { name: 'sign-in', path: '/', shows: 'text=Open the console', user: null },
  { name: 'graphs', path: '/graphs', shows: 'text=Invoice approval' },
  { name: 'graphs-empty', path: '/graphs?q=nothing-is-called-so', shows: 'text=No graph matches' },
  { name: 'graphs-trash', path: '/graphs?trashed=only', shows: 'text=Customer onboarding' },
  {
    name: 'graphs-unlocked',
    path: '/graphs',
    shows: 'text=Invoice approval',
    act: click(
      'text=Unlock editing',
      '[aria-label="Select Refunds"]',
      'button:has-text("What to do with Invoice approval")',
    ),
  },
  {
    name: 'graphs-create',
    path: '/graphs',
    shows: 'text=Invoice approval',
    act: click('text=Unlock editing', 'text=New graph'),
  },
  {
    name: 'graphs-purge',
    path: '/graphs?trashed=only',
    shows: 'text=Customer onboarding',
    act: click('text=Unlock editing', 'button:has-text("What to do with Customer onboarding")', 'text=Purge…'),
  },
  { name: 'operations', path: '/operations', shows: 'tbody >> text=CONFLICT' },
  { name: 'operations-empty', path: '/operations?user=nobody', shows: 'text=No operation matches' },
  { name: 'operation-refused', path: `/operations/${CONFLICT}?graph=team-a.flow-1`, shows: 'text=Refused:' },
  { name: 'operation-unknown', path: '/operations/0192f0c1-0000-7000-8000-000000000bad', shows: 'text=Not found' },
  { name: 'subscriptions', path: '/subscriptions', shows: 'text=audit-export' },
  { name: 'parked', path: '/subscriptions/mailer/parked', shows: 'text=SMTP 550' },
  {
    name: 'parked-drop',
    path: '/subscriptions/mailer/parked',
    shows: 'text=SMTP 550',
    act: click('text=Unlock editing', 'tbody input[type=checkbox]', 'text=Drop…'),
  },
  { name: 'subscription-unknown', path: '/subscriptions/nothing', shows: '[role=alert]' },
  { name: 'system', path: '/system', shows: 'text=Caught up', act: click("text=Licences of the console's parts") },
  {
    name: 'palette',
    path: '/graphs',
    shows: 'text=Invoice approval',
    act: ({ page }) => page.keyboard.press('Control+k'),
  },
  { name: 'help', path: '/system', shows: 'text=Caught up', act: ({ page }) => page.keyboard.press('?') },
  { name: 'not-found', path: '/nothing/here', shows: 'text=There is no such page' },
]

describe.each(themes)('k8 %s', (theme) => {
  test.each(SCREENS)('k8_$name', async ({ name, path, shows, user, act }) => {
    const visitor = await stage.visitor({ theme, ...(user === null ? {} : { user: 'ada' }) })
    await visitor.goto(path)
    await visitor.page.waitForSelector(shows)
    await act?.(visitor)
    await visitor.page.waitForTimeout(250)
    const broken = await visitor.axe()
    await visitor.shot(`${name}-${theme}`)
    expect(broken).toEqual([])
    expect(visitor.faults).toEqual([])
    expect(visitor.writes).toEqual([])
    await visitor.close()
  })
})
