import { describe, expect, test } from 'vitest'
import { type FoldedState, foldGraph } from '../../src/fold.ts'
import type { Commit } from '../../src/testing/commit.ts'
import { ModelServer } from '../../src/testing/server.ts'
import { actOf } from '../fuzz/acts.ts'
import { Random } from '../fuzz/random.ts'
import { content } from '../fuzz/text.ts'
import { canonical } from '../model/canonical.ts'
import { runExample } from './example.ts'

/** What people do, and undo: the commits, and the graph after each. */
function history(graphId = 'g', seed = 1): { commits: Commit[]; states: FoldedState[]; contents: string[] } {
  const server = new ModelServer(1e9, {}, graphId)
  const random = new Random(seed)
  const session = server.connect('ada')
  const [states, contents]: [FoldedState[], string[]] = [[], []]
  for (let at = 0; at < 600; at++) {
    const frame = { graphId, clientId: 'c', operationId: `op-${at}`, onConflict: 'overwrite' as const }
    const undone = server.commits.at(-1 - random.below(5))
    if (random.below(5) === 0 && undone !== undefined) {
      const operations = [{ operationId: undone.operationId, version: undone.version }]
      server.receive(session, { ...frame, type: 'COMMAND', command: { type: 'UNDO', payload: { operations } } })
    } else {
      const { action } = actOf(random.next(), random.next(), server.state, () => `v${at}`)
      if (action.type !== 'BATCH') server.receive(session, { ...frame, type: 'COMMAND', command: action as never })
    }
    // What is deleted is not made again in the same millisecond: a state could not tell the two apart.
    const isDeletion = server.commits.at(-1)?.events.some(({ type }) => type.endsWith('Deleted')) === true
    server.now += isDeletion ? 1 : random.below(2)
    if (states.length === server.version) continue
    contents.push(content(server.state))
    states.push(sent(server))
  }
  return { commits: [...server.commits], states, contents }
}

/** The state as `GET /state` has it. */
function sent(server: ModelServer): FoldedState {
  const session = server.connect('eve')
  server.receive(session, { type: 'SUBSCRIBE', graphId: server.graphId })
  const { state, hash } = session.out[0] as unknown as { state: FoldedState; hash: string }
  server.disconnect(session)
  return JSON.parse(JSON.stringify({ ...state, hash }))
}

function contentOf({ nodes, edges, viewport, attributes }: FoldedState): string {
  return canonical({ nodes, edges, viewport, attributes })
}

describe('foldGraph', () => {
  const { commits, states, contents } = history()

  test('L from the first commit on, the graph is the server`s after each, order and times too', () => {
    expect(commits.length).toBeGreaterThan(300)
    const graph = foldGraph()
    for (const [at, commit] of commits.entries()) {
      graph.apply(JSON.parse(JSON.stringify(commit)))
      expect(contentOf(graph.toJSON())).toBe(contents[at])
    }
    expect(graph).toMatchObject({ version: commits.length, hash: commits.at(-1)?.hash, isOrderCertain: true })
    const { nodes } = graph.snapshot()
    expect(nodes.map(({ id }) => graph.node(id))).toEqual(nodes)
    for (const { id } of nodes) expect(graph.meta(id)?.version).toBeGreaterThan(0)
  })

  test('a graph that is stored goes on as if it had not been', () => {
    let graph = foldGraph()
    for (const [at, commit] of commits.entries()) {
      if (at % 7 === 0) graph = foldGraph(JSON.parse(JSON.stringify(graph)))
      graph.apply(commit)
      expect(contentOf(graph.toJSON())).toBe(contents[at])
    }
  })

  test('a state of the server goes on', () => {
    for (const [at, state] of states.entries()) {
      const graph = foldGraph(state)
      for (const commit of commits.slice(at, at + 20)) {
        graph.apply(commit)
        expect(contentOf(graph.toJSON())).toBe(contents[commit.version - 1])
      }
      expect(graph.isOrderCertain).toBe(true)
    }
  })

  test('after a state, it is said that the order can not be told of what was made in one millisecond and deleted', () => {
    const at = { hash: 'h', timestamp: 5 }
    const restored = { type: 'NodeRestored', node: { id: 'x', position: { x: 0, y: 0 } }, ordinal: 0, createdAt: 5 }
    const y = { id: 'y', position: { x: 0, y: 0 }, createdAt: 5, updatedAt: 5, version: 2 }
    const state = { version: 3, nodes: [y], edges: [], viewport: { x: 0, y: 0, zoom: 1 } }
    const graph = foldGraph(state).apply({ ...at, version: 4, events: [restored] })
    expect(graph.isOrderCertain).toBe(false)
    // Stored, it is as uncertain as before; states that were stored without a word of it are certain.
    const stored = JSON.parse(JSON.stringify(graph)) as FoldedState & { places: { isUncertain?: boolean } }
    expect(foldGraph(stored).isOrderCertain).toBe(false)
    delete stored.places.isUncertain
    expect(foldGraph(stored).isOrderCertain).toBe(true)
  })

  test('M9 a commit makes new objects for what it touches only', () => {
    const graph = foldGraph()
    const at = { hash: 'h', timestamp: 1 }
    const node = (id: string) => ({ type: 'NodeCreated', node: { id, position: { x: 0, y: 0 } } })
    graph.apply({ ...at, version: 1, events: [node('a'), node('b'), { type: 'FromALaterRelease' }] })
    const before = graph.snapshot()
    expect(graph.snapshot()).toBe(before)
    graph.apply({ ...at, version: 2, events: [{ type: 'NodeMoved', nodeId: 'b', position: { x: 1, y: 1 } }] })
    const after = graph.snapshot()
    expect(after.nodes[0]).toBe(before.nodes[0])
    expect([before.nodes[1]?.position.x, after.nodes[1]?.position.x]).toEqual([0, 1])
  })

  test('answers may overlap, but a gap or another history is not passed over', () => {
    const [first, second, third] = commits as [Commit, Commit, Commit]
    const graph = foldGraph().apply(first).apply(second).apply(first).apply(second)
    expect(graph.version).toBe(2)
    expect(() => foldGraph().apply(second)).toThrow('version 2 does not follow version 0')
    expect(() => graph.apply({ ...second, hash: 'other' })).toThrow('another history')
    expect(graph.apply({ ...first, hash: 'other' }).version).toBe(2)
    expect(graph.apply(third).version).toBe(3)
    expect(foldGraph().hash).toBeNull()
  })

  test('the example of docs/sdk.md reads all graphs from the feed', async () => {
    const other = history('h', 2).commits.slice(0, 50)
    const lines = [
      ...other.map((commit) => ({ graphId: 'gone', ...commit })),
      { position: '5', event: 'dao-gone', graphId: 'gone', version: 50, hash: other[49]?.hash },
      ...other.slice(0, 9).map((commit) => ({ graphId: 'damaged', ...commit })),
      { graphId: 'damaged', version: 10, error: { code: 'HISTORY_DAMAGED' } },
      ...commits.map((commit) => ({ graphId: 'g', ...commit })),
      ...other.slice(20).map((commit) => ({ graphId: 'damaged', ...commit })),
      ...other.map((commit) => ({ graphId: 'h', ...commit })),
      { position: '9' },
    ]
    const asked: string[] = []
    const read = (of: readonly object[]): Promise<string[]> =>
      runExample((url) => {
        asked.push(url)
        return Promise.resolve(new Response(`${of.map((line) => JSON.stringify(line)).join('\n')}\n`))
      })
    const printed = await read(lines)
    const nodes = (state: FoldedState | undefined): number => state?.nodes.length ?? -1
    expect(printed).toEqual([
      "damaged can't be read",
      `g has ${nodes(states.at(-1))} nodes in version ${commits.length}`,
      `h has ${nodes(history('h', 2).states[49])} nodes in version 50`,
    ])
    expect(asked).toEqual(['http://127.0.0.1:3000/events?since=0&follow=false'])
    await expect(read([...lines.slice(0, -1), { error: { code: 'UNAUTHENTICATED' } }])).rejects.toThrow(
      'UNAUTHENTICATED',
    )
  })
})
