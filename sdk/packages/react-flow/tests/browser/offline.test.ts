/** What is typed without a server, in a tab that reloads, is duplicated, left or killed, is not lost. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Person, Stage, until } from './stage.ts'

const stage = new Stage()
beforeAll(() => stage.open())
afterAll(() => stage.close())

const SAVED_HERE = /^Offline · \d+ changes? saved on this device$/

async function withSample(graph: string, user: string): Promise<Person> {
  const person = await stage.person(graph, user)
  await person.insertSample()
  return person
}

async function labels(graph: string): Promise<unknown[]> {
  return (await stage.state(graph)).nodes.map(({ data }) => (data as { label?: string }).label)
}

test('M3 offline, reload, online: the edit is there before the network and arrives once', async () => {
  const ada = await withSample('reload', 'Ada')
  await stage.killServer()
  await ada.badge('Offline')
  await ada.rename('Read the amounts', 'Written offline')
  await ada.badge(SAVED_HERE)
  await ada.page.reload()
  await ada.sees('Written offline')
  await ada.badge(SAVED_HERE)
  await ada.shot('offline')
  await stage.startServer()
  await ada.badge('Saved')
  expect(await labels('reload')).toContain('Written offline')
  const edits = (await stage.operations('reload')).filter(({ commandType }) => commandType === 'UPDATE_NODE')
  expect(edits.map(({ status }) => status)).toEqual(['completed'])
  await ada.context.close()
})

test('M2 M6 both write the same field offline: the later one is asked, sees both values, and one click resolves it', async () => {
  const ada = await withSample('conflict', 'Ada')
  const bob = await stage.person('conflict', 'Bob')
  await bob.sees('Read the amounts')
  await stage.killServer()
  await ada.badge('Offline')
  await bob.badge('Offline')
  await ada.rename('Read the amounts', 'Adas text')
  await bob.rename('Read the amounts', 'Bobs text')
  await ada.badge(SAVED_HERE)
  await bob.badge(SAVED_HERE)
  await stage.startServer()
  await ada.badge('Saved')
  await bob.badge('Saved')
  const [asked, won] = (await ada.page.locator('.toast').count()) > 0 ? [ada, bob] : [bob, ada]
  const [mine, theirs] = asked === ada ? ['Adas text', 'Bobs text'] : ['Bobs text', 'Adas text']
  const toast = asked.page.locator('.toast')
  expect(await toast.locator('.yours').textContent()).toBe(mine)
  expect(await toast.locator('.theirs').textContent()).toBe(theirs)
  await asked.sees(theirs)
  await asked.shot('conflict')
  await toast.getByRole('button', { name: 'Use mine' }).click()
  await won.sees(mine)
  await asked.badge('Saved')
  expect(await labels('conflict')).toContain(mine)
  await ada.context.close()
  await bob.context.close()
})

test('M5 a duplicated tab is a client of its own', async () => {
  const ada = await withSample('twice', 'Ada')
  const opened = ada.context.waitForEvent('page')
  await ada.page.evaluate(() => void window.open(location.href))
  const second = await opened
  await second.waitForSelector('.react-flow__node [value="Read the amounts"]')
  const ids = await Promise.all([ada.page, second].map((page) => page.evaluate(() => sessionStorage.getItem('user'))))
  expect(ids).toEqual(['Ada', 'Ada'])
  await ada.rename('Read the amounts', 'In the first tab')
  const field = second.locator('[value="Check the limit"]')
  await field.click()
  await second.keyboard.press('End')
  await second.keyboard.type(' too', { delay: 20 })
  await second.keyboard.press('Enter')
  await ada.sees('Check the limit too')
  await second.waitForSelector('.react-flow__node [value="In the first tab"]')
  const edits = (await stage.operations('twice')).filter(({ commandType }) => commandType === 'UPDATE_NODE')
  expect(new Set(edits.map(({ clientId }) => clientId)).size).toBe(2)
  await ada.context.close()
})

test('M4 a tab that is left in the middle of a drag has sent where the node is', async () => {
  const ada = await withSample('left', 'Ada')
  const before = await stage.state('left')
  await ada.hold(await ada.spot('Ask for approval'), { x: 80, y: 40 })
  await ada.page.close({ runBeforeUnload: true })
  await until('the move arrived', async () => {
    const [last] = (await stage.operations('left')).slice(-1)
    return last !== undefined && last.version > before.version && last.events.some(({ type }) => type === 'NodeMoved')
  })
  await ada.context.close()
})

test('M4 text that was being typed when the tab was left arrives', async () => {
  const ada = await withSample('typing', 'Ada')
  const input = ada.named('Read the amounts')
  await input.click()
  await input.press('Control+a')
  await ada.page.keyboard.type('Half')
  await ada.page.close({ runBeforeUnload: true })
  await until('the text arrived', async () => (await labels('typing')).includes('Half'))
  await ada.context.close()
})

test('M3 M5 the browser is killed offline: its profile opens again and the edit arrives', async () => {
  const first = await stage.profile('killed', 'Ada')
  await first.person.insertSample()
  await stage.killServer()
  await first.person.badge('Offline')
  await first.person.rename('Read the amounts', 'Before the kill')
  await first.person.badge(SAVED_HERE)
  first.kill()
  await stage.startServer()
  const again = await stage.profile('killed', 'Ada', first.folder)
  await until('the edit of the killed tab', async () => (await labels('killed')).includes('Before the kill'))
  await again.person.sees('Before the kill')
  await again.person.badge('Saved')
  const edits = (await stage.operations('killed')).filter(({ commandType }) => commandType === 'UPDATE_NODE')
  expect(edits.map(({ status }) => status)).toEqual(['completed'])
  await again.person.context.close()
})
