/** K9, K2, K4: others' work as it happens, rights, an interrupted server, and the slider by time. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Stage, token, until } from '../browser/stage.ts'

const stage = new Stage({ seed: true })
const guarded = new Stage({ keys: true })
beforeAll(async () => {
  await stage.open()
  await guarded.open()
})
afterAll(async () => {
  await stage.close()
  await guarded.close()
})

test('k9_others_are_seen_and_a_server_that_was_away_is_followed_again', async () => {
  const [ada, bob] = [await stage.visitor({ user: 'ada' }), await stage.visitor({ user: 'bob' })]
  await ada.goto('/graphs/example')
  await bob.goto('/graphs/example')
  await bob.page.waitForSelector('.react-flow__node')
  await bob.page.getByRole('button', { name: 'Unlock editing' }).click()
  await bob.page.waitForSelector('.gp-undo')
  const box = (await bob.page.locator('.gp-canvas').boundingBox())!
  for (let i = 0; i < 5; i++) await bob.page.mouse.move(box.x + 200 + i * 10, box.y + 300)
  await until('ada sees his cursor', async () => (await ada.page.locator('.gp-cursor').textContent())?.includes('bob'))
  await ada.shot('graph_cursor')

  const badge = async (): Promise<string> => (await ada.page.locator('.gp-head .status').textContent()) ?? ''
  await stage.killServer()
  await until('it says that it is offline', async () => /offline, as of v31/.test(await badge()), 40_000)
  expect(await ada.page.locator('.gp-stale').count()).toBe(1)
  expect(await ada.page.locator('.react-flow__node').count()).toBe(9)
  await ada.shot('graph_offline')
  await stage.startServer()
  await stage.command('carol', 'example', 'UPDATE_NODE', { nodeId: 'refund', updates: { data: { label: 'At once' } } })
  await until('it is live again', async () => /live v32/.test(await badge()), 40_000)
  await until('the change is shown', async () =>
    (await ada.page.locator('.gp-canvas').textContent())?.includes('At once'),
  )
  expect(ada.writes).toEqual([])
  expect([ada.faults, bob.faults]).toEqual([[], []])
  await ada.close()
  await bob.close()
})

test('k9_a_history_that_was_replaced_while_the_tab_was_hidden_is_another_one', async () => {
  const create = async (user: string, count: number): Promise<void> => {
    for (let i = 1; i <= count; i++) await stage.command(user, 'again', 'CREATE_NODE', { id: `${user}-${i}` })
  }
  await create('ada', 3)
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const hide = (hidden: boolean) =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { configurable: true, value })
      document.dispatchEvent(new Event('visibilitychange'))
    }, hidden)
  const listed = async (): Promise<string> => (await page.locator('.gp-history').textContent()) ?? ''
  const badge = async (): Promise<string> => (await page.locator('.gp-head .status').textContent()) ?? ''
  await visitor.goto('/graphs/again?tab=history')
  await until('the history', async () => (await listed()).includes('ada-3'))
  await until('it is followed', async () => /live v3/.test(await badge()))
  // Once with more commits than before, once with fewer.
  for (const [user, count] of [
    ['bob', 5],
    ['carol', 2],
  ] as const) {
    await hide(true)
    await page.waitForTimeout(11_000)
    await stage.ask('ada', 'DELETE', '/graphs/again')
    await stage.ask('ada', 'POST', '/graphs/again/purge', {})
    await create(user, count)
    await hide(false)
    await until('it is followed again', async () => (await badge()).includes(`live v${count}`))
    await until('the other history', async () => (await listed()).includes(user))
    expect(await listed()).not.toContain('ada')
    expect(await page.locator('.gp-newer').count()).toBe(0)
    const slider = page.getByRole('slider', { name: 'Time' })
    await until('its end', async () => (await slider.getAttribute('max')) === String(count))
  }
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k2_who_may_only_read_cannot_unlock_and_is_told_why', async () => {
  await guarded.command('ada', 'team-a.flow', 'CREATE_NODE', { id: 'a', data: { label: 'Start' } })
  await guarded.command('ada', 'team-a.flow', 'CREATE_NODE', { id: 'b', data: { label: 'End' } })
  await guarded.command('ada', 'other', 'CREATE_NODE', { id: 'a' })
  const visitor = await guarded.visitor({ user: token('eve', { 'team-a.*': 'read' }) })
  const { page } = visitor
  await visitor.goto('/graphs/team-a.flow?node=a')
  await page.waitForSelector('.react-flow__node')
  const unlock = page.getByRole('button', { name: 'Unlock editing' })
  expect(await unlock.isDisabled()).toBe(true)
  expect(await unlock.getAttribute('title')).toBe('You may read this graph, not write it.')
  await until('the writer of a field', async () => (await page.locator('.gp-fields').textContent())?.includes('ada'))
  await page.getByRole('tab', { name: 'Proof' }).click()
  await page.getByRole('button', { name: 'Verify' }).click()
  await until('verified', async () => (await page.locator('.gp-result').textContent())?.includes('2 of 2 commits'))
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download NDJSON' }).click()
  expect((await download).suggestedFilename()).toBe('team-a.flow.ndjson')
  await visitor.goto('/graphs/other')
  await until('it says so', async () => /FORBIDDEN/.test((await page.locator('.problem').textContent()) ?? ''))
  expect(visitor.faults).toEqual([])
  expect(visitor.writes).toEqual([])
  await visitor.close()
})

test('k4_a_history_of_many_hours_is_a_slider_by_time', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const { version } = await stage.ask('ada', 'GET', '/graphs/example')
  const page1 = await stage.ask('ada', 'GET', '/graphs/example/changes?since=0')
  const changes = page1.changes as { version: number; timestamp: number }[]
  const hour = 3_600_000
  const begin = Math.floor(changes[0]!.timestamp / hour) * hour - 60 * hour
  // The server's clock can't be turned back, so its answers are moved: commit n happened n + n % 5 hours after the beginning.
  const timeOf = (of: number): number => begin + (of + (of % 5)) * hour
  await page.route(/\/graphs\/example\/changes/, async (route) => {
    const answer = await route.fetch()
    const body = await answer.json()
    for (const commit of body.changes) commit.timestamp = timeOf(commit.version)
    await route.fulfill({ response: answer, json: body })
  })
  await page.route(/\/graphs\/example\/activity\?bucket/, (route) => {
    const buckets = changes.map(({ version: of }) => ({ at: timeOf(of), events: 1 + ((of * 7) % 23) }))
    buckets.sort((a, b) => a.at - b.at)
    return route.fulfill({ json: { graphId: 'example', version, bucketMs: hour, buckets } })
  })
  await visitor.goto('/graphs/example')
  await page.waitForSelector('.gp-bar')
  const slider = page.getByRole('slider', { name: 'Time' })
  expect(await slider.getAttribute('max')).toBe('10000')
  const track = (await slider.boundingBox())!
  await page.mouse.click(track.x + track.width / 2, track.y + track.height / 2)
  await until('it snaps to a commit', async () => {
    const text = (await page.locator('.gp-note').textContent()) ?? ''
    const at = Number(/v(\d+)/.exec(text)?.[1])
    return at > 10 && at < 25
  })
  await until('the picture is there', async () => (await page.locator('.gp-stage[aria-busy=false]').count()) === 1)
  await visitor.shot('graph_by_time')
  await page.getByRole('button', { name: 'by time' }).click()
  expect(await slider.getAttribute('max')).toBe(String(version))
  // An answer that is being moved is not thrown away.
  await page.unrouteAll({ behavior: 'wait' })
  expect(visitor.faults).toEqual([])
  await visitor.close()
})
