/** Somebody finds a graph, sees who changed it, goes back in time, compares, restores and verifies: in one go. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Stage, until, type Visitor } from '../browser/stage.ts'

const stage = new Stage({ seed: true })
beforeAll(async () => {
  await stage.open()
  await stage.command('ada', 'example', 'LABEL_VERSION', { name: 'published', version: 20, note: 'Release 1' })
  await stage.command('ada', 'example', 'UPDATE_GRAPH', { updates: { title: 'Returns and refunds' } })
})
afterAll(() => stage.close())

/** The text of an element, once it is what is expected. */
async function says(visitor: Visitor, selector: string, text: string | RegExp): Promise<void> {
  await until(`${selector} says ${text}`, async () => {
    const now = (await visitor.page.locator(selector).first().textContent()) ?? ''
    return typeof text === 'string' ? now.includes(text) : text.test(now)
  })
}

const path = (visitor: Visitor): string => {
  const { pathname, search } = new URL(visitor.page.url())
  return pathname.replace('/console', '') + search
}

test('k1_find_open_scrub_blame_compare_restore_verify', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor

  await visitor.goto('/graphs')
  await page.getByRole('link', { name: 'Returns and refunds' }).first().click()
  await page.waitForSelector('.react-flow__node')
  await says(visitor, '.gp-head', 'live v33')

  // Scrub: by the native slider, one commit at a time, and to a label.
  const slider = page.getByRole('slider', { name: 'Time' })
  await slider.focus()
  for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowLeft')
  await says(visitor, '.gp-note', 'You look at v30')
  await until('the address follows', async () => path(visitor) === '/graphs/example@30')
  // Who wrote that version is asked for once it is looked at.
  const says30 = /^version 30 of 33, .*, by carol$/
  await until('the slider says who wrote it', async () =>
    says30.test((await slider.getAttribute('aria-valuetext')) ?? ''),
  )
  await page.keyboard.press('[')
  await says(visitor, '.gp-note', 'You look at v20')
  await until('the survey is there again', async () => page.locator('.react-flow__node[data-id=survey]').isVisible())

  // Blame: who wrote this label, and what was there before?
  await visitor.goto('/graphs/example?node=refund')
  await says(visitor, '.gp-fields', '/data/label')
  const field = page.getByRole('row', { name: /\/data\/label/ })
  await until('its writer is told', async () => (await field.textContent())?.includes('ada'))
  await field.getByRole('link', { name: 'v12', exact: true }).click()
  await says(visitor, '.gp-note', 'You look at v12')
  await page.goBack()
  await until('the writers are told', async () => (await page.locator('.gp-fields').textContent())?.includes('ada'))
  await page
    .getByRole('row', { name: /\/data\/label/ })
    .getByRole('link', { name: /before this change/ })
    .click()
  await says(visitor, '.gp-note', 'You look at v11')
  expect(path(visitor)).toBe('/graphs/example@11?node=refund&path=/data/label')
  await says(visitor, '.gp-field-chosen', 'Refund')

  // Compare what is published with now.
  await visitor.goto('/graphs/example/compare/published..head')
  await says(visitor, '.gp-counts', '4 removed')
  expect(await page.locator('.gp-ghost').count()).toBe(1)
  await page.keyboard.press('n')
  await says(visitor, '.gp-change-open', 'Check the receipt')
  await says(visitor, '.gp-change-touches', 'carol')
  expect(visitor.writes).toEqual([])

  // Restore it: only after unlocking, and with the operation's id shown.
  const restore = page.getByRole('button', { name: 'Restore v20…' })
  await restore.click()
  await page.getByRole('dialog').getByRole('button', { name: 'Unlock editing' }).click()
  await says(visitor, 'dialog', /It brings back 1 node and 3 edges/)
  await page.getByRole('dialog').getByRole('button', { name: 'Restore v20' }).click()
  await says(visitor, '.gp-receipt', /Restored v20 in v34.*operation/)
  const link = await page.locator('.gp-receipt a').getAttribute('href')
  expect(link).toMatch(/\/operations\/[0-9a-f-]{36}\?graph=example$/)
  expect(visitor.writes).toEqual(['POST /graphs/example/command'])
  // On the page of the graph it is a step of undo.
  await page.locator('.gp-head .gp-up').click()
  const undo = page.getByRole('group', { name: 'Undo' }).getByRole('button', { name: 'Undo' })
  await until('it can be undone', () => undo.isEnabled())
  expect(await undo.getAttribute('title')).toBe('Restore v20')

  // Verify.
  await visitor.goto('/graphs/example?tab=proof')
  await page.getByRole('button', { name: 'Verify' }).click()
  await says(visitor, '.gp-result', '34 of 34 commits are whole')
  const hash = (await page.locator('.gp-hash code').textContent()) ?? ''
  const noted = page.getByRole('textbox', { name: /Version and hash/ })
  await noted.fill(`34:${hash}`)
  await page.getByRole('button', { name: 'Compare', exact: true }).last().click()
  await says(visitor, '.gp-proof', 'The same history')
  await noted.fill(`20:${hash}`)
  await page.getByRole('button', { name: 'Compare', exact: true }).last().click()
  await says(visitor, '.gp-proof', 'Another history')

  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k7_a_refusal_is_a_sentence_with_three_links', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  await visitor.goto('/graphs/example?tab=conflicts')
  await says(
    visitor,
    '.gp-conflicts',
    /carol wanted \/data\/label = "Refund at once" on node refund; ada had set it to "Refund within two days" in v12, \d+ (ms|s) earlier\./,
  )
  const links = await visitor.page.locator('.gp-refusal').last().locator('.gp-links a').allTextContents()
  expect(links).toEqual(['operation', 'commit v12', 'compare'])
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k2_edits_after_unlocking_show_their_operation_and_never_touch_the_past', async () => {
  const [visitor, other] = [await stage.visitor({ user: 'ada' }), await stage.visitor({ user: 'bob' })]
  const { page } = visitor
  await visitor.goto('/graphs/example?node=refund')
  await other.goto('/graphs/example')
  await page.waitForSelector('.react-flow__node')
  await until('bob is here', async () => (await page.locator('.gp-here').textContent())?.includes('bob'))
  expect(await page.getByRole('textbox', { name: 'Label' }).count()).toBe(0)
  await page.getByRole('button', { name: 'Unlock editing' }).click()
  const label = page.getByRole('textbox', { name: 'Label' })
  await label.click()
  await label.press('End')
  await label.pressSequentially(' or so')
  await says(visitor, '.gp-receipt', /Saved in v\d+.*operation/)
  await until('bob sees it', async () => (await other.page.locator('.gp-canvas').textContent())?.includes('or so'))

  const node = page.locator('.react-flow__node[data-id=done]')
  const before = (await node.boundingBox())!
  await page.mouse.move(before.x + 10, before.y + 10)
  await page.mouse.down()
  await page.mouse.move(before.x + 20, before.y + 70, { steps: 5 })
  await page.mouse.up()
  await until('two receipts', async () => (await page.locator('.gp-receipt').count()) === 2)
  const moved = (await node.boundingBox())!
  expect(moved.y - before.y).toBeGreaterThan(30)
  await page.getByRole('button', { name: 'Undo' }).click()
  await until('it is back', async () => Math.abs((await node.boundingBox())!.y - before.y) < 2)
  await page.getByRole('button', { name: 'Redo' }).click()
  await until('it is moved', async () => Math.abs((await node.boundingBox())!.y - moved.y) < 2)

  // In the past nothing can be moved, although it is unlocked.
  await page.getByRole('button', { name: 'Previous commit' }).click()
  await page.waitForSelector('.gp-note')
  expect(await page.locator('.react-flow__node.draggable').count()).toBe(0)
  expect(await page.getByRole('textbox', { name: 'Label' }).count()).toBe(0)
  expect([visitor.faults, other.faults, other.writes]).toEqual([[], [], []])
  await visitor.close()
  await other.close()
})

test('k2_the_trash_is_marked_and_can_be_undone', async () => {
  await stage.command('ada', 'short', 'CREATE_NODE', { id: 'a', data: { label: 'Only' } })
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs/short')
  await page.waitForSelector('.react-flow__node')
  await page.getByRole('button', { name: 'Unlock editing' }).click()
  await page.getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Move to the trash…' }).click()
  const dialog = page.getByRole('dialog')
  expect(await dialog.getByRole('button', { name: 'Move to the trash' }).isDisabled()).toBe(true)
  await dialog.getByLabel(/Type/).fill('short')
  await dialog.getByLabel('Reason').fill('a test')
  await dialog.getByRole('button', { name: 'Move to the trash' }).click()
  await says(visitor, '.gp-note-trash', /In the trash.*by ada: a test/)
  await page.waitForSelector('.react-flow__node')
  await page.getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Recover…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Recover' }).click()
  await until('it is live again', async () => (await page.locator('.gp-head').textContent())?.includes('live v3'))
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k1_unknown_versions_and_graphs_are_told_with_code_and_request_id', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  await visitor.goto('/graphs/example@9999')
  await says(visitor, '.problem', 'VERSION_NOT_FOUND')
  await visitor.goto('/graphs/example@nobody')
  await says(visitor, '.problem', 'LABEL_NOT_FOUND')
  await visitor.goto('/graphs/nothing-here')
  await says(visitor, '.problem', /GRAPH_NOT_FOUND.*Request/)
  await visitor.goto('/graphs/example@2020-01-01T00:00:00Z')
  await says(visitor, '.gp-note', /The graph did not exist yet on 2020-01-01 00:00:00 UTC. It was made on \d{4}-/)
  await says(visitor, '.empty', 'The graph did not exist yet')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('l11_a_restore_is_undone_by_button_key_and_message', async () => {
  await stage.command('ada', 'undone', 'CREATE_NODE', { id: 'a', position: { x: 0, y: 0 }, data: { label: 'Before' } })
  await stage.command('ada', 'undone', 'UPDATE_NODE', { nodeId: 'a', updates: { data: { label: 'After' } } })
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs/undone@1')
  await says(visitor, '.gp-note', 'You look at v1')
  // The banner offers it, also while editing is locked.
  const restore = async (): Promise<void> => {
    await page.locator('.gp-note').getByRole('button', { name: 'Restore this version…' }).click()
    await says(visitor, 'dialog', /It changes 1 node\./)
    await page.getByRole('dialog').getByRole('button', { name: 'Restore v1' }).click()
  }
  await page.locator('.gp-note').getByRole('button', { name: 'Restore this version…' }).click()
  await visitor.shot('graph_unlock_dialog')
  await page.getByRole('dialog').getByRole('button', { name: 'Unlock editing' }).click()
  await says(visitor, 'dialog', /It changes 1 node\./)
  await visitor.shot('graph_restore_dialog')
  await page.getByRole('dialog').getByRole('button', { name: 'Restore v1' }).click()
  await says(visitor, '.gp-canvas', 'Before')
  await visitor.shot('graph_restored')
  const toolbar = page.getByRole('group', { name: 'Undo' })
  await toolbar.getByRole('button', { name: 'Undo' }).click()
  await says(visitor, '.gp-canvas', 'After')
  await toolbar.getByRole('button', { name: 'Redo' }).click()
  await says(visitor, '.gp-canvas', 'Before')
  await page.locator('.gp-canvas').click({ position: { x: 20, y: 300 } })
  await page.keyboard.press('Control+z')
  await says(visitor, '.gp-canvas', 'After')

  // From the message. The history shows what this user did at once.
  await visitor.page.evaluate(() => history.replaceState(null, '', './undone@1?tab=history'))
  await page.evaluate(() => dispatchEvent(new PopStateEvent('popstate')))
  await says(visitor, '.gp-note', 'You look at v1')
  await restore()
  await says(visitor, '.gp-receipts', /Restored v1 in v7/)
  await until('the history has it', async () => (await page.locator('.gp-rows').textContent())?.includes('v7'))
  expect(await page.locator('.gp-newer').count()).toBe(0)
  await page.locator('.gp-receipt', { hasText: 'Restored v1 in v7' }).getByRole('button', { name: 'Undo' }).click()
  await says(visitor, '.gp-canvas', 'After')
  await until('nothing is told any more', async () => (await page.locator('.gp-receipt').count()) === 0)
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k2_the_preview_of_a_restore_counts_what_is_restored', async () => {
  await stage.command('ada', 'viewed', 'CREATE_NODE', { id: 'a', position: { x: 0, y: 0 } })
  await stage.command('ada', 'viewed', 'SET_VIEWPORT', { x: 5, y: 5, zoom: 1 })
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs/viewed@1?tab=history')
  await page.locator('.gp-note').waitFor()
  await page.getByRole('button', { name: 'More about v1' }).click()
  await visitor.shot('graph_history_menu')
  await page.getByRole('menuitem', { name: 'Restore this version…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Unlock editing' }).click()
  await says(visitor, 'dialog', /already the same as v1: it changes nothing\. Only the viewport differs/)
  await page.getByRole('checkbox', { name: /viewport/ }).check()
  await says(visitor, 'dialog', 'It sets back the viewport.')
  await page.getByRole('button', { name: 'Cancel' }).click()
  // What can't be done at all says why.
  await page.getByRole('button', { name: 'More about v2' }).click()
  const item = page.getByRole('menuitem', { name: /Restore this version/ })
  expect(await item.textContent()).toContain('It is like this now.')
  expect(await item.getAttribute('aria-disabled')).toBe('true')
  await visitor.shot('graph_history_menu_now')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k1_times_are_named_in_words_and_told', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs/example')
  await page.waitForSelector('.react-flow__node')
  const field = page.getByRole('textbox', { name: 'Version, label or time' })
  await page.locator('.gp-at-button').click()
  await visitor.shot('graph_picker')
  await field.fill('yesterday')
  await says(visitor, '#gp-at-meant', /As it was on \d{4}-\d\d-\d\d 23:59:59 UTC\./)
  await visitor.shot('graph_picker_yesterday')
  await field.press('Enter')
  await until('the address is a time', async () => /@\d{4}-\d\d-\d\dT23:59:59\.999Z/.test(path(visitor)))
  await page.locator('.gp-note').waitFor()
  await visitor.shot('graph_yesterday')
  await page.locator('.gp-at-button').click()
  await field.fill('nobody')
  await says(visitor, '#gp-at-meant', 'There is no label nobody.')
  await field.press('Enter')
  await says(visitor, '.problem', 'LABEL_NOT_FOUND')
  await says(visitor, '.gp-at-button', 'nobody')
  const [title, toolbar] = [page.locator('.problem-title'), page.locator('.gp-toolbar')]
  const [below, above] = [(await title.boundingBox())!, (await toolbar.boundingBox())!]
  expect(below.y).toBeGreaterThanOrEqual(above.y + above.height)
  await visitor.shot('graph_problem')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k8_exact_times_and_names_stand_where_they_are_read', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  await visitor.goto('/graphs/example?node=refund')
  await says(visitor, '.gp-writer', /ago.*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/)
  await visitor.shot('graph_writers')
  // The first version has one node: the rows of later ones have the names of now.
  await visitor.goto('/graphs/example@1?tab=history')
  await until('rows', async () => (await page.locator('.gp-row-what').count()) > 5)
  const rows = (await page.locator('.gp-rows').textContent()) ?? ''
  expect(rows).toContain('Tell the customer')
  await visitor.shot('graph_history_old')
  await visitor.goto('/graphs/example/compare/published..head')
  await says(visitor, '.gp-counts', 'changed')
  expect(await page.getByRole('combobox', { name: 'to' }).inputValue()).toBe('now')
  await visitor.shot('graph_compare_now')

  await stage.command('ada', 'bare', 'CREATE_GRAPH', { attributes: { title: 'Bare' } })
  await visitor.goto('/graphs/bare')
  await page.waitForSelector('.gp-empty')
  expect(await page.locator('.gp-minimap').count()).toBe(0)
  await page.getByRole('button', { name: 'More', exact: true }).click()
  await visitor.shot('graph_bare')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})
