/** K3: a page of the history that can't be read takes nothing away, and is asked for again. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Stage, until } from '../browser/stage.ts'

/** More than one page. */
const COMMITS = 300

const stage = new Stage()
beforeAll(async () => {
  await stage.open()
  await stage.command('ada', 'long', 'CREATE_NODE', { id: 'a', data: { label: 'Ball' } })
  // Of two kinds in turn, so that no run is shown as one row.
  const operations = Array.from({ length: COMMITS - 1 }, (_, i) =>
    i % 2 === 0
      ? { type: 'UPDATE_NODE', payload: { nodeId: 'a', updates: { data: { label: `Ball ${i}` } } } }
      : { type: 'UPDATE_NODE_POSITION', payload: { nodeId: 'a', position: { x: i, y: i } } },
  )
  await stage.ask('ada', 'POST', '/graphs/long/batch', { operations })
})
afterAll(() => stage.close())

test('k3_a_page_that_cannot_be_read_leaves_the_list_and_is_asked_for_again', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const later = /\/graphs\/long\/operations\?.*cursor=/
  const body = JSON.stringify({ status: 503, code: 'STORE_UNAVAILABLE', detail: 'The store does not answer' })
  await page.route(later, (route) => route.fulfill({ status: 503, body }))
  await visitor.goto('/graphs/long?tab=history')
  const list = page.getByRole('region', { name: 'History' })
  await list.getByRole('link', { name: 'v300' }).waitFor()
  const toEnd = () => list.evaluate((element) => element.scrollTo(0, element.scrollHeight))
  await until('the problem is told', async () => {
    await toEnd()
    return list.getByRole('alert').isVisible()
  })
  expect(await list.getByRole('alert').textContent()).toContain('STORE_UNAVAILABLE')
  await list.getByRole('link', { name: 'v101' }).waitFor()
  await page.unroute(later)
  await list.getByRole('button', { name: 'Try again' }).click()
  // A page that arrives after the scrolling makes the list longer, and only rows in view are drawn.
  await until('the beginning is there', async () => {
    await toEnd()
    return list.getByRole('link', { name: 'v1', exact: true }).isVisible()
  })
  expect(await list.getByText('This is the beginning').isVisible()).toBe(true)
  expect(await list.getByRole('alert').count()).toBe(0)
  await visitor.close()
})
