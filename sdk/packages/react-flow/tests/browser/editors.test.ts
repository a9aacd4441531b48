/** Two people in Chromium, the example app, a real server: what one does the other sees, and each gesture is one commit. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Person, Stage, until } from './stage.ts'

const stage = new Stage()
const present: Person[] = []
beforeAll(() => stage.open())
afterAll(() => stage.close())
afterEach(async () => {
  const errors = present.flatMap((person) => person.errors)
  for (const { context } of present.splice(0)) await context.close()
  expect(errors).toEqual([])
})

async function pair(graph: string): Promise<[Person, Person]> {
  const ada = await stage.person(graph, 'Ada')
  present.push(ada)
  await ada.insertSample()
  const bob = await stage.person(graph, 'Bob')
  present.push(bob)
  await bob.sees('Read the amounts')
  return [ada, bob]
}

/** The commits after the first one, which is the sample. */
async function commits(graph: string): Promise<string[]> {
  return (await stage.operations(graph)).slice(1).map(({ userId, commandType }) => `${userId} ${commandType}`)
}

test('M7 type, drag, resize, connect and delete: the other sees it, and each is one commit', async () => {
  const [ada, bob] = await pair('acts')
  await ada.rename('Read the amounts', 'Read it')
  await bob.sees('Read it')
  await until('one commit of the text', async () => (await commits('acts')).length === 1)

  const before = (await bob.node('Ask for approval').boundingBox())!
  await ada.hold(await ada.spot('Ask for approval'), { x: 60, y: 50 })
  await until(
    'Bob sees the drag while it lasts',
    async () => (await bob.node('Ask for approval').boundingBox())!.y > before.y + 20,
  )
  expect(await commits('acts')).toHaveLength(1)
  await ada.page.mouse.up()
  await until('one commit of the drag', async () => (await commits('acts')).length === 2)

  await ada.node('Checks').click({ position: { x: 12, y: 100 } })
  const corner = (await ada.page.locator('.react-flow__resize-control.top.left.handle').boundingBox())!
  await ada.drag({ x: corner.x + 2, y: corner.y + 2 }, { x: -20, y: -30 })
  await until('one commit of the resize', async () => (await commits('acts')).length === 3)

  const source = (await ada.node('Schedule payment').locator('.source').boundingBox())!
  const target = (await ada.node('Ask for approval').locator('.target').boundingBox())!
  await ada.drag({ x: source.x + 3, y: source.y + 3 }, { x: target.x - source.x, y: target.y - source.y })
  await until('one commit of the connection', async () => (await commits('acts')).length === 4)

  await ada.select('Known supplier?')
  await ada.page.keyboard.press('Delete')
  await bob.misses('Known supplier?')
  await ada.badge('Saved')
  expect(await commits('acts')).toEqual([
    'ada UPDATE_NODE',
    'ada UPDATE_NODE_POSITION',
    'ada BATCH',
    'ada CREATE_EDGE',
    expect.stringMatching(/^ada (BATCH|DELETE_NODE)$/),
  ])
  const { edges } = await stage.state('acts')
  await until(
    'Bob has the edges that are left',
    async () => (await bob.page.locator('.react-flow__edge').count()) === edges.length,
  )
})

test('M7 undo of a deletion brings node and edges back for both, redo deletes them again', async () => {
  const [ada, bob] = await pair('undo')
  const edges = await bob.page.locator('.react-flow__edge').count()
  await ada.select('Known supplier?')
  await ada.page.keyboard.press('Delete')
  await bob.misses('Known supplier?')
  await ada.page.keyboard.press('Control+z')
  await bob.sees('Known supplier?')
  await until('all edges', async () => (await bob.page.locator('.react-flow__edge').count()) === edges)
  await ada.page.getByRole('button', { name: 'Redo' }).click()
  await bob.misses('Known supplier?')
  await ada.badge('Saved')
  expect(await commits('undo')).toHaveLength(3)
})

test('M8 undo leaves alone what somebody else wrote since', async () => {
  const [ada, bob] = await pair('others')
  await ada.rename('Read the amounts', 'By Ada')
  await bob.sees('By Ada')
  await bob.rename('By Ada', 'By Bob')
  await ada.sees('By Bob')
  await ada.select('Schedule payment')
  await ada.page.keyboard.press('Control+z')
  await ada.badge('Saved')
  await until('the server judged the undo', async () =>
    (await stage.operations('others')).some(({ commandType }) => commandType === 'UNDO'),
  )
  await ada.sees('By Bob')
  await bob.sees('By Bob')
})

test('M7 copy, paste, group, drop into a group and ungroup', async () => {
  const [ada, bob] = await pair('paste')
  await ada.select('Read the amounts')
  await ada.page.keyboard.press('Control+c')
  await ada.page.mouse.move(300, 560)
  await ada.page.keyboard.press('Control+v')
  await until('a copy at Bob', async () => (await bob.page.locator('[value="Read the amounts"]').count()) === 2)
  await ada.badge('Saved')
  await ada.page.locator('.toolbar').getByRole('button', { name: 'Group', exact: true }).click()
  await bob.sees('New group')
  await ada.badge('Saved')
  expect(await commits('paste')).toEqual(['ada CREATE_NODE', 'ada BATCH'])

  const from = await ada.spot('Ask for approval')
  const group = (await ada.node('Checks').boundingBox())!
  await ada.drag(from, { x: group.x + 20 - from.x, y: group.y + 40 - from.y })
  await until('one commit for place and parent', async () => (await commits('paste')).length === 3)
  const { nodes } = await stage.state('paste')
  const asked = nodes.find(({ data }) => (data as { label?: string }).label === 'Ask for approval') as
    | { parentId?: string }
    | undefined
  expect(asked?.parentId).toBe(nodes.find(({ data }) => (data as { label?: string }).label === 'Checks')?.id)

  await ada.node('New group').click({ position: { x: 8, y: 50 } })
  await ada.page.getByRole('button', { name: 'Ungroup' }).click()
  await bob.misses('New group')
  await until(
    'the copy is still there',
    async () => (await bob.page.locator('[value="Read the amounts"]').count()) === 2,
  )
})

test('A15 cursors and selections of others have their names', async () => {
  const [ada, bob] = await pair('cursors')
  await ada.page.mouse.move(420, 300)
  await bob.page.waitForSelector('.dao-cursor-name:has-text("Ada")')
  await ada.select('Read the amounts')
  await bob.page.waitForSelector('.selected-by:has-text("Ada")')
  await ada.page.close()
  await bob.page.waitForSelector('.dao-cursor-name', { state: 'detached' })
})
