/** K8: no violation of axe on any tab in both themes, and everything by keyboard. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { themes } from '../browser/places.ts'
import { Stage, until } from '../browser/stage.ts'

const stage = new Stage({ seed: true })
beforeAll(async () => {
  await stage.open()
  await stage.command('ada', 'example', 'LABEL_VERSION', { name: 'published', version: 20 })
  await stage.command('ada', 'example', 'UPDATE_GRAPH', {
    updates: { title: 'Returns and refunds', description: 'What happens to a parcel.', tags: ['shop'], owner: 'ada' },
  })
})
afterAll(() => stage.close())

const SCREENS: Readonly<Record<string, string>> = {
  graph_inspect: '/graphs/example',
  graph_node: '/graphs/example?node=refund&path=/data/label',
  graph_history: '/graphs/example@published?tab=history',
  graph_conflicts: '/graphs/example?tab=conflicts',
  graph_activity: '/graphs/example?tab=activity',
  graph_proof: '/graphs/example?tab=proof',
  graph_outline: '/graphs/example?show=outline&node=refund',
  graph_compare: '/graphs/example/compare/published..head',
}

for (const theme of themes) {
  test(`k8_no_violation_of_axe_in_the_${theme}_theme`, async () => {
    const visitor = await stage.visitor({ user: 'ada', theme })
    const found: Record<string, string[]> = {}
    for (const [name, address] of Object.entries(SCREENS)) {
      await visitor.goto(address)
      await visitor.page.waitForSelector('.gp-canvas .react-flow__node, .gp-outline-row')
      await until('nothing is loading', async () => (await visitor.page.locator('.loading').count()) === 0)
      if (name === 'graph_compare') await visitor.page.keyboard.press('n')
      await visitor.page.waitForTimeout(300)
      await visitor.shot(`${name}_${theme}`)
      const violations = await visitor.axe()
      if (violations.length > 0) found[name] = violations
    }
    expect(found).toEqual({})
    expect(visitor.faults).toEqual([])
    await visitor.close()
  })
}

test('k8_the_outline_and_the_slider_by_keyboard_only', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs/example')
  await page.waitForSelector('.react-flow__node')
  await page.keyboard.press('o')
  await page.waitForSelector('.gp-outline-row')
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '')
  for (let i = 0; i < 40 && !(await focused()).startsWith('▸Return requested'); i++) await page.keyboard.press('Tab')
  expect(await focused()).toMatch(/^▸Return requested/)
  await page.keyboard.press('ArrowRight')
  await until('it is open', async () => (await page.locator('.gp-outline-edge').count()) === 1)
  await page.keyboard.press('ArrowRight')
  await until('the edge has the focus', async () => (await focused()).startsWith('→ Check the receipt'))
  await page.keyboard.press('ArrowLeft')
  await until('the node has it again', async () => (await focused()).startsWith('▾Return requested'))
  await page.keyboard.press('End')
  await until('the last one', async () => (await focused()).startsWith('Tell the customer'))
  await page.keyboard.press('Enter')
  await until(
    'it is inspected',
    async () => (await page.locator('.gp-inspect h2').textContent()) === 'Tell the customer',
  )
  expect(new URL(page.url()).search).toBe('?node=done&show=outline')

  const slider = page.getByRole('slider', { name: 'Time' })
  const isOnSlider = () => page.evaluate(() => document.activeElement?.getAttribute('type') === 'range')
  for (let i = 0; i < 60 && !(await isOnSlider()); i++) await page.keyboard.press('Tab')
  expect(await isOnSlider()).toBe(true)
  const text = async (): Promise<string> => (await slider.getAttribute('aria-valuetext')) ?? ''
  await page.keyboard.press('ArrowLeft')
  await until('one commit back', async () => (await text()).startsWith('version 32 of 33'))
  await page.keyboard.press('Home')
  await until('the beginning', async () => (await text()).startsWith('version 0 of 33'))
  await page.keyboard.press('ArrowRight')
  await until('the first commit', async () => (await text()).includes('by ada'))
  await page.keyboard.press('Shift+ArrowRight')
  await until('another author', async () => (await text()).startsWith('version 6 of 33'))
  await page.keyboard.press(']')
  await until('the label', async () => (await text()).startsWith('version 20 of 33'))
  await page.keyboard.press('End')
  await until('now', async () => (await text()).startsWith('version 33 of 33'))
  expect(visitor.faults).toEqual([])
  expect(visitor.writes).toEqual([])
  await visitor.close()
})
