/** A thousand nodes while others work: no long task, and nobody renders who was not touched. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Stage, until } from './stage.ts'

const stage = new Stage()
beforeAll(() => stage.open())
afterAll(() => stage.close())

const COLUMNS = 30
const NODES = 1000
/** The longest task counts as the middle of so many rounds: another program that takes the processor lengthens one. */
const ROUNDS = 5
const MOVES = 20
const MOVES_PER_SECOND = 20
/** What the SDK may take of one task. A browser calls a task of 50 ms a long one. Milliseconds. */
const TASK_MS_MAX = 50

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string } }[]
  samples: number[]
  timeDeltas: number[]
}

/** The longest time in one task, and the whole time, that was spent in the SDK's own functions. Milliseconds. */
function timeInSdk({ nodes, samples, timeDeltas }: Profile): { longest: number; whole: number; samples: number } {
  const ours = new Set(nodes.filter(({ callFrame }) => /\/sdk-[^/]+\.js$/.test(callFrame.url)).map(({ id }) => id))
  const between = new Set(
    nodes
      .filter(({ callFrame }) => callFrame.functionName === '(idle)' || callFrame.functionName === '(program)')
      .map(({ id }) => id),
  )
  const found = { longest: 0, whole: 0, samples: 0 }
  let task = 0
  samples.forEach((id, i) => {
    const ms = (timeDeltas[i] ?? 0) / 1000
    if (between.has(id)) task = 0
    if (!ours.has(id)) return
    task += ms
    found.whole += ms
    found.samples += 1
    found.longest = Math.max(found.longest, task)
  })
  return found
}

test('M9 1,000 nodes and 20 remote moves a second: no long task of ours, untouched nodes render 0 times', async () => {
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
  })
  await ada.page.reload()
  await ada.sees('Step 0')
  await until('most nodes are drawn', async () => (await ada.page.locator('.react-flow__node').count()) > NODES / 2)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await ada.page.evaluate(() => {
    window.renders?.clear()
  })

  const devtools = await ada.context.newCDPSession(ada.page)
  await devtools.send('Profiler.enable')
  await devtools.send('Profiler.setSamplingInterval', { interval: 200 })
  const rounds: ReturnType<typeof timeInSdk>[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await devtools.send('Profiler.start')
    const begun = Date.now()
    for (let i = 0; i < MOVES; i++) {
      await stage.command('large', 'bob', 'UPDATE_NODE_POSITION', {
        nodeId: `n${i % 10}`,
        position: { x: i, y: -200 - i - round * MOVES },
      })
      await new Promise((resolve) =>
        setTimeout(resolve, Math.max(0, begun + ((i + 1) * 1000) / MOVES_PER_SECOND - Date.now())),
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
    const { profile } = await devtools.send('Profiler.stop')
    rounds.push(timeInSdk(profile as Profile))
  }
  const renders = await ada.page.evaluate(() => [...(window.renders ?? [])])
  const touched = new Set(Array.from({ length: 10 }, (_, i) => `n${i}`))
  expect(renders.filter(([id]) => !touched.has(id))).toEqual([])
  expect(new Set(renders.map(([id]) => id))).toEqual(touched)
  const longest = rounds.map((round) => round.longest).sort((a, b) => a - b)
  const whole = rounds.reduce((sum, round) => sum + round.whole, 0)
  const told = longest.map((ms) => ms.toFixed(1)).join(', ')
  console.log(
    `in the SDK: ${told} ms in the longest task of a round, ${whole.toFixed(0)} ms in ${ROUNDS * MOVES} moves`,
  )
  expect(rounds.reduce((sum, round) => sum + round.samples, 0)).toBeGreaterThan(0)
  expect(longest[Math.floor(ROUNDS / 2)]).toBeLessThan(TASK_MS_MAX)
  await ada.context.close()
})

declare global {
  interface Window {
    renders?: Map<string, number>
  }
}
