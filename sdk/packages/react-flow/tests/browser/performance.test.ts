/** A thousand nodes while others work: no long task, and nobody renders who was not touched. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Stage, until } from './stage.ts'

const stage = new Stage()
beforeAll(() => stage.open())
afterAll(() => stage.close())

const COLUMNS = 30
const NODES = 1000
const MOVES = 100
const MOVES_PER_SECOND = 20
/** A task that blocks the page for longer is what the browser calls a long task. Milliseconds. */
const LONG_TASK_MS = 50

test('M9 1,000 nodes and 20 remote moves a second: no long task, untouched nodes render 0 times', async () => {
  const nodes = Array.from({ length: NODES }, (_, i) => ({
    id: `n${i}`,
    type: 'task',
    position: { x: (i % COLUMNS) * 290, y: Math.floor(i / COLUMNS) * 110 },
    data: { label: `Step ${i}`, status: 'todo' },
  }))
  const edges = Array.from({ length: NODES - 1 }, (_, i) => ({ id: `e${i}`, source: `n${i}`, target: `n${i + 1}` }))
  await stage.command('large', 'seed', 'CREATE_GRAPH', { document: { nodes, edges } })
  const ada = await stage.person('large', 'Ada')
  await ada.page.addInitScript(() => {
    window.renders = new Map()
    window.long = []
    new PerformanceObserver((list) => window.long.push(...list.getEntries().map(({ duration }) => duration))).observe({
      type: 'longtask',
    })
  })
  await ada.page.reload()
  await ada.sees('Step 0')
  await until('most nodes are drawn', async () => (await ada.page.locator('.react-flow__node').count()) > NODES / 2)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await ada.page.evaluate(() => {
    window.renders?.clear()
    window.long.length = 0
  })

  const begun = Date.now()
  for (let i = 0; i < MOVES; i++) {
    await stage.command('large', 'bob', 'UPDATE_NODE_POSITION', {
      nodeId: `n${i % 10}`,
      position: { x: i, y: -200 - i },
    })
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, begun + ((i + 1) * 1000) / MOVES_PER_SECOND - Date.now())),
    )
  }
  await new Promise((resolve) => setTimeout(resolve, 500))
  const seen = await ada.page.evaluate(() => ({ renders: [...(window.renders ?? [])], long: window.long }))
  const touched = new Set(Array.from({ length: 10 }, (_, i) => `n${i}`))
  expect(seen.renders.filter(([id]) => !touched.has(id))).toEqual([])
  expect(new Set(seen.renders.map(([id]) => id))).toEqual(touched)
  expect(seen.long.filter((ms) => ms > LONG_TASK_MS)).toEqual([])
  await ada.context.close()
})

declare global {
  interface Window {
    renders?: Map<string, number>
    long: number[]
  }
}
