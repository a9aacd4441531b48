/** K4: the past that the console folds is the one that the server has, at every version and in any order. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Past } from '../../src/graph/past.ts'
import { Stage } from '../browser/stage.ts'

const COMMITS = 1_250
const stage = new Stage({ env: { DURABILITY: 'interval' } })
beforeAll(() => stage.open())
afterAll(() => stage.close())

/** Random numbers that are the same in each run: mulberry32. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Commands that may be refused: then there is no commit. */
function command(next: () => number): { type: string; payload: object } {
  const pick = (count: number): number => Math.floor(next() * count)
  const id = `n${pick(40)}`
  switch (pick(8)) {
    case 0:
    case 1:
      return { type: 'CREATE_NODE', payload: { id, position: { x: pick(900), y: pick(500) }, data: { label: id } } }
    case 2:
      return {
        type: 'UPDATE_NODE',
        payload: { nodeId: id, updates: { data: { label: `L${pick(99)}`, deep: { a: pick(9) } } } },
      }
    case 3:
      return {
        type: 'UPDATE_NODE',
        payload: { nodeId: id, updates: { data: { deep: null }, parentId: `n${pick(40)}` } },
      }
    case 4:
      return { type: 'UPDATE_NODE_POSITION', payload: { nodeId: id, position: { x: pick(900), y: pick(500) } } }
    case 5:
      return { type: 'DELETE_NODE', payload: { nodeId: id } }
    case 6:
      return { type: 'CREATE_EDGE', payload: { id: `e${pick(60)}`, source: id, target: `n${pick(40)}` } }
    default:
      return { type: 'SET_VIEWPORT', payload: { x: pick(100), y: pick(100), zoom: 1 + pick(3) } }
  }
}

interface Lists {
  version: number
  nodes: Record<string, unknown>[]
  edges: Record<string, unknown>[]
  viewport: unknown
}

const bare = ({ createdAt: _, updatedAt: __, version: ___, ...own }: Record<string, unknown>): unknown => own
const byId = (list: readonly Record<string, unknown>[]): unknown[] =>
  [...list].sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1)).map(bare)

test('k4_the_folded_past_is_the_servers', async () => {
  const seed = Number(process.env.SEED ?? 20_261_130)
  const next = random(seed)
  let version = 0
  while (version < COMMITS) {
    const operations = Array.from({ length: 200 }, () => command(next))
    await stage.ask('ada', 'POST', '/graphs/g/batch', { operations })
    version = (await stage.ask('ada', 'GET', '/graphs/g')).version as number
    if (version > 100) {
      const to = Math.floor(version * next())
      await stage.command('bob', 'g', 'RESTORE_VERSION', { to: Math.max(1, to), include: ['viewport'] })
    }
  }
  const past = new Past({
    state: async (at) => (await stage.ask('ada', 'GET', `/graphs/g/state?version=${at}`)) as never,
    commits: async (since, limit) =>
      (await stage.ask('ada', 'GET', `/graphs/g/changes?since=${since}&limit=${limit}`)) as never,
  })
  const versions = [
    version,
    1,
    999,
    1_000,
    1_001,
    200,
    201,
    ...Array.from({ length: 40 }, () => Math.floor(next() * version)),
  ]
  for (const at of versions) {
    const server = (await stage.ask('ada', 'GET', `/graphs/g/state?version=${at}`)) as unknown as Lists
    const { snapshot, commit } = await past.at(at)
    const told = `seed ${seed}, version ${at}`
    expect(byId(snapshot.nodes as never), told).toEqual(byId(server.nodes))
    expect(byId(snapshot.edges as never), told).toEqual(byId(server.edges))
    expect(snapshot.viewport, told).toEqual(server.viewport)
    expect(commit?.version ?? 0, told).toBe(at)
  }
}, 120_000)
