import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FoldedState, foldGraph } from '../../src/fold.ts'
import { createClient } from '../../src/index.ts'
import { runExample } from '../fold/example.ts'
import { canonical } from '../model/canonical.ts'
import { Server } from './server.ts'

const server = new Server()
beforeAll(() => server.start())
afterAll(() => server.end())

async function get<T>(path: string): Promise<T> {
  return (await (await fetch(`${server.origin}${path}`)).json()) as T
}

function contentOf({ nodes, edges, viewport, attributes }: FoldedState): string {
  return canonical({ nodes, edges, viewport, attributes })
}

test('L what a server sends is folded into what it has: from changes, on a state, and from the feed', async () => {
  const client = createClient({ url: `ws://127.0.0.1:${server.port}/ws?userId=ada` })
  const graph = client.graph('folded')
  await graph.ready
  graph.createNode({ id: 'a' })
  graph.createNode({ id: 'box', data: { n: 1 } })
  graph.updateNode('a', { parentId: 'box' })
  graph.createEdge({ id: 'x', source: 'a', target: 'box' })
  await graph.setViewport({ x: 1, y: 2, zoom: 3 }).settled
  const early = await get<FoldedState>('/graphs/folded/state')
  await graph.deleteNode('box').settled
  await graph.undo()
  await graph.moveNode('a', { x: 5, y: 5 }).settled
  await client.close()

  const now = await get<FoldedState>('/graphs/folded/state')
  const { changes } = await get<{ changes: Parameters<ReturnType<typeof foldGraph>['apply']>[0][] }>(
    '/graphs/folded/changes?since=0',
  )
  const [folded, continued] = [foldGraph(), foldGraph(early)]
  for (const commit of changes) {
    folded.apply(commit)
    continued.apply(commit)
  }
  for (const each of [folded, continued]) {
    expect(contentOf(each.toJSON())).toBe(contentOf(now))
    expect(each.version).toBe(now.version)
    expect(each.hash).toBe(changes.at(-1)?.hash)
  }
  const printed = await runExample((url, options) =>
    fetch(url.replace('http://127.0.0.1:3000', server.origin), options),
  )
  expect(printed).toEqual([`folded has 2 nodes in version ${now.version}`])
})
