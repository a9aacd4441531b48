/** What people do on a server without keys. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CONFLICT, furnish } from './people.ts'
import { Stage, until } from './stage.ts'

const stage = new Stage({ prefix: '/tools/dao' })
beforeAll(async () => {
  await stage.open()
  await furnish(stage)
})
afterAll(() => stage.close())

test('k1_a_deep_link_opens_its_page_after_sign_in_at_any_prefix', async () => {
  const visitor = await stage.visitor()
  const { page } = visitor
  await visitor.goto('/graphs?q=refunds&sort=title')
  await page.fill('input', 'Zoë')
  await page.click('text=Open the console')
  await page.waitForSelector('a:has-text("Refunds")')
  expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe(
    '/tools/dao/console/graphs?q=refunds&sort=title',
  )
  expect(await page.locator('tbody tr').count()).toBe(1)
  await page.click('a:has-text("Refunds")')
  await page.waitForURL('**/console/graphs/team-c.flow-3')
  await page.goBack()
  await page.waitForSelector('a:has-text("Refunds")')
  await visitor.goto('/operations/nothing/at/all')
  await page.waitForSelector('text=There is no such page')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k8_keyboard_only_from_the_list_to_a_graph_and_back', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/')
  await page.waitForSelector('text=Invoice approval')
  await page.keyboard.press('/')
  await page.keyboard.type('invoice')
  await until('the list is filtered', async () => (await page.locator('tbody tr').count()) === 1)
  await page.keyboard.press('Tab')
  await page.evaluate(() => (document.activeElement as HTMLElement).blur())
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/graphs/team-a.flow-1')
  await page.keyboard.press('g')
  await page.keyboard.press('g')
  await page.waitForSelector('h1:has-text("Graphs")')
  await page.keyboard.press('Control+k')
  await page.keyboard.type('newsl')
  await page.waitForSelector('[role=option]:has-text("Newsletter")')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/graphs/team-c.flow-6')
  await page.keyboard.press('Control+k')
  await page.keyboard.type('mailer')
  await page.waitForSelector('[role=option]:has-text("subscription")')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/subscriptions/mailer')
  await page.keyboard.press('g')
  await page.keyboard.press('o')
  await page.waitForSelector('h1:has-text("Operations")')
  await page.keyboard.press('?')
  await page.waitForSelector('dialog:has-text("Keyboard shortcuts")')
  await page.keyboard.press('Escape')
  expect(await page.locator('dialog').count()).toBe(0)
  expect(visitor.faults).toEqual([])
  expect(visitor.writes).toEqual([])
  await visitor.close()
})

test('k7_a_refusal_is_a_sentence_with_links', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/operations?status=conflict')
  await page.click('text=why')
  await page.waitForSelector('text=Refused:')
  expect(page.url()).toContain(`/operations/${CONFLICT}?graph=team-a.flow-1`)
  const sentence = await page.locator('.refusal').textContent()
  expect(sentence).toMatch(
    /^Refused: ada wanted \/data\/label = "Go" on node check; bob had set it to "Begin" in v3, .* earlier\.$/,
  )
  await page.click('text=What each policy would have done')
  await page.waitForSelector('text=Writes the value')
  await page.click('text=The operation in its way')
  await page.waitForSelector('.refusal:has-text("bob changed check: label")')
  await visitor.close()
})

test('k2_a_graph_is_made_labelled_trashed_recovered_and_purged_behind_unlock', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const menu = async (item: string): Promise<void> => {
    await page.click('button:has-text("What to do with Throwaway")')
    await page.click(`[popover]:popover-open >> text=${item}`)
  }
  const typed = (text: string) => page.locator('dialog label:has-text("to go on") input').fill(text)
  await visitor.goto('/graphs')
  await page.waitForSelector('text=Invoice approval')
  expect(await page.locator('text=New graph').count()).toBe(0)
  await page.click('text=Unlock editing')
  await page.click('text=New graph')
  await page.fill('dialog label:has-text("Id") input', 'throwaway')
  await page.fill('dialog label:has-text("Title") input', 'Throwaway')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("Created throwaway")')
  const href = await page.locator('.notice a').getAttribute('href')
  expect(href).toMatch(/\/console\/operations\/[0-9a-f-]{36}\?graph=throwaway$/)
  await menu('Label a version…')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("published is v1")')
  await menu('Title and tags…')
  await page.fill('dialog label:has-text("Tags") input', 'temp, billing')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('tr:has-text("Throwaway") button:has-text("temp")')
  await menu('Move to the trash…')
  expect(await page.locator('dialog button[type=submit]').isDisabled()).toBe(true)
  await typed('throwaway')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("in the trash")')
  await page.selectOption('label:has-text("Trash") select', 'only')
  await menu('Recover…')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("Recovered throwaway")')
  await page.selectOption('label:has-text("Trash") select', 'no')
  await menu('Move to the trash…')
  await typed('throwaway')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('dialog', { state: 'detached' })
  await page.selectOption('label:has-text("Trash") select', 'only')
  await menu('Purge…')
  await page.waitForSelector("text=This can't be taken back")
  await typed('throwaway')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("Purged throwaway")')
  await page.waitForSelector('button:has-text("What to do with Throwaway")', { state: 'detached' })
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k2_a_graph_is_made_from_a_file', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const flow = { nodes: [{ id: 'a', position: { x: 1, y: 2 }, selected: true, data: {} }], edges: [] }
  const file = (text: string) => ({ name: 'flow.json', mimeType: 'application/json', buffer: Buffer.from(text) })
  await visitor.goto('/graphs')
  await page.click('text=Unlock editing')
  await page.click('text=New graph')
  await page.fill('dialog label:has-text("Id") input', 'from-file')
  await page.setInputFiles('dialog input[type=file]', file('not json'))
  await page.waitForSelector('text=The file is not valid JSON')
  await page.setInputFiles('dialog input[type=file]', file(JSON.stringify(flow)))
  await page.waitForSelector('text=1 node and 0 edges.')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("Created from-file")')
  const { nodes } = await stage.ask('ada', 'GET', '/graphs/from-file/document')
  expect(nodes).toEqual([{ id: 'a', position: { x: 1, y: 2 }, data: {} }])
  await visitor.close()
})

test('k2_selected_graphs_are_tagged_together_and_a_refusal_is_told', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs')
  await page.click('text=Unlock editing')
  await page.click('[aria-label="Select Refunds"]')
  await page.click('[aria-label="Select Fraud check"]')
  await page.click('text=Change tags…')
  await page.fill('dialog input', 'audited')
  await page.click('dialog button[type=submit]')
  await until('both have the tag', async () => (await page.locator('tbody button:has-text("audited")').count()) === 2)
  expect(await page.locator('.notice').count()).toBe(2)
  await page.click('button:has-text("What to do with Refunds")')
  await page.click('[popover]:popover-open >> text=Copy…')
  await page.fill('dialog label:has-text("Id of the copy") input', 'team-a.flow-1')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('dialog .problem code:has-text("GRAPH_EXISTS")')
  await page.fill('dialog label:has-text("Id of the copy") input', 'refunds-copy')
  await page.fill('dialog label:has-text("Version") input', 'published')
  await page.check('dialog input[type=checkbox]')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("Copied team-c.flow-3 to refunds-copy")')
  await visitor.close()
})

test('s8_parked_commits_are_retried_and_dropped_and_looking_leases_nothing', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const before = await stage.ask('ada', 'GET', '/subscriptions/mailer')
  await visitor.goto('/subscriptions')
  await page.waitForSelector('text=4 commits parked')
  await page.click('a:has-text("mailer")')
  await page.waitForSelector('text=SMTP 550')
  expect(await stage.ask('ada', 'GET', '/subscriptions/mailer')).toEqual(before)
  expect(visitor.writes).toEqual([])
  await page.click('text=Unlock editing')
  await page.locator('tbody input[type=checkbox]').first().check()
  await page.click('text=Retry…')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("Handed out again: 1 commit of mailer")')
  await until('three are left', async () => (await page.locator('tbody tr').count()) === 3)
  await page.check('[aria-label="Select all that are shown"]')
  await page.click('text=Drop…')
  await page.locator('dialog label:has-text("to go on") input').fill('mailer')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('text=Nothing is parked')
  expect(visitor.writes.every((one) => /\/parked\/(retry|drop)$/.test(one))).toBe(true)
  await visitor.close()
})

test('k1_an_operation_is_found_in_the_history_when_its_id_is_forgotten', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  // What the server answers after `OPERATION_TTL`.
  await page.route(/\/operations\/0192f0c1[^/]*graphId=/, (route) =>
    route.fulfill({
      status: 404,
      contentType: 'application/problem+json',
      body: '{"code":"NOT_FOUND","detail":"forgotten"}',
    }),
  )
  await visitor.goto(`/operations/${CONFLICT}?graph=team-a.flow-1&version=3`)
  await page.waitForSelector('text=Refused: ada wanted')
  await visitor.goto(`/operations/${CONFLICT}?graph=team-a.flow-1`)
  await page.waitForSelector('text=Refused: ada wanted')
  await visitor.goto(`/operations/${CONFLICT}?graph=team-c.flow-3`)
  await page.waitForSelector('text=Forgotten.')
  await visitor.close()
})

test('k9_a_hidden_tab_asks_for_nothing', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const hide = (hidden: boolean) =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { configurable: true, value })
      document.dispatchEvent(new Event('visibilitychange'))
    }, hidden)
  await visitor.goto('/subscriptions')
  await page.waitForSelector('text=audit-export')
  await hide(true)
  await page.waitForTimeout(500)
  let asked = 0
  page.on('request', () => asked++)
  await page.waitForTimeout(11_000)
  expect(asked).toBe(0)
  await hide(false)
  await until('it asks again at once', async () => asked > 0, 2_000)
  await visitor.close()
})

test('k9_a_server_that_is_not_ready_says_why', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  let answer: object = {
    status: 503,
    code: 'STORE_UNAVAILABLE',
    title: 'Not ready',
    detail: 'x',
    reasons: ['store: timeout'],
  }
  let status = 503
  await page.route('**/readyz', (route) =>
    route.fulfill({ status, contentType: 'application/json', body: JSON.stringify(answer) }),
  )
  await visitor.goto('/system')
  await page.waitForSelector('text=Not ready: store: timeout')
  status = 200
  const parked = [{ graphId: 'team-a.flow-1', version: 3, reason: 'commit 3 can not be folded' }]
  answer = { status: 'ready', store: 's', projections: { lagCommits: 12, lagMs: 11_000, parkedGraphs: 1, parked } }
  await page.waitForSelector('text=commit 3 can not be folded')
  await page.waitForSelector('text=12 commits, 11 s')
  expect(await visitor.axe()).toEqual([])
  await visitor.close()
})

test('k9_texts_of_graphs_are_text', async () => {
  const title = '<img src=x onerror="window.bad=1"><marquee>bold</marquee>'
  await stage.command('ada', 'odd', 'CREATE_GRAPH', {
    attributes: { title, tags: ['<marquee>tag</marquee>'], owner: '"><script>' },
  })
  await stage.command('<marquee>eve</marquee>', 'odd', 'CREATE_NODE', {
    id: '<marquee>node</marquee>',
    data: { label: '<script>window.bad=1</script>' },
  })
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs?q=bold')
  expect(await page.locator('.graph-title').textContent()).toBe(title)
  for (const path of ['/operations?graphs=odd', '/graphs/odd', '/graphs?q=%3Cimg']) {
    await visitor.goto(path)
    await page.waitForTimeout(1_000)
    expect(await page.locator('main :is(img, marquee, script)').count()).toBe(0)
    expect(await page.evaluate(() => 'bad' in window)).toBe(false)
  }
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k9_a_server_that_is_killed_is_told_and_found_again', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs')
  await page.waitForSelector('text=Invoice approval')
  await stage.killServer()
  await page.waitForSelector('.stale-note:has-text("UNREACHABLE")', { timeout: 20_000 })
  expect(await page.locator('a:has-text("Invoice approval")').count()).toBe(1)
  expect(await page.locator('.is-stale').count()).toBe(1)
  await stage.startServer()
  await page.click('text=Try again')
  await page.waitForSelector('.stale-note', { state: 'detached' })
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k3_large_values_are_folded_and_can_be_downloaded', async () => {
  const operationId = '0192f0c1-0000-7000-8000-0000000b16b0'
  const text = 'x'.repeat(40 * 1024)
  await stage.command(
    'ada',
    'large',
    'CREATE_NODE',
    { id: 'a', data: { text, list: Array(300).fill(1) } },
    { operationId },
  )
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto(`/operations/${operationId}?graph=large`)
  for (const name of ['0', 'node', 'data']) {
    const branch = page.locator(`.json details:has(> summary > .json-key:text-is("${name}: "))`).last()
    if (!(await branch.evaluate((element) => (element as HTMLDetailsElement).open)))
      await branch.locator('> summary').click()
  }
  const line = page.locator('.json-line:has-text("text of 40 KiB")')
  await line.waitFor()
  expect((await page.locator('main').textContent())!.length).toBeLessThan(5_000)
  const [saved] = await Promise.all([page.waitForEvent('download'), line.locator('button').click()])
  expect(saved.suggestedFilename()).toBe('text.txt')
  await page.locator('.json summary:has-text("list: ")').last().click()
  await page.waitForSelector('text=200 more')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k3_a_long_list_has_few_rows_in_the_document', async () => {
  for (let i = 0; i < 260; i++) await stage.command('grace', `many.${i}`, 'CREATE_NODE', { id: 'a' })
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs?q=many.')
  await page.waitForSelector('tbody tr')
  await page.click('text=Unlock editing')
  let most = 0
  await until(
    'the last graph is seen',
    async () => {
      most = Math.max(most, await page.locator('tbody tr').count())
      await page.mouse.move(640, 500)
      await page.mouse.wheel(0, 1500)
      return (await page.locator('[aria-rowindex="261"]').count()) === 1
    },
    30_000,
  )
  expect(most).toBeLessThan(60)
  await page.waitForSelector('text=260 graphs that you may read')
  // A write reads the list again, and the place stays.
  await page.locator('[aria-rowindex="261"] button:has-text("What to do with")').click()
  await page.click('[popover]:popover-open >> text=Title and tags…')
  await page.fill('dialog label:has-text("Title") input', 'Renamed')
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('.notice:has-text("Changed many.0")')
  await page.waitForTimeout(3_500)
  expect(await page.locator('main').evaluate((main) => main.scrollTop)).toBeGreaterThan(10_000)
  await page.waitForSelector('text=260 graphs that you may read')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})
