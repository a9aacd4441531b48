// @vitest-environment jsdom
import { afterEach, describe, expect, test } from 'vitest'
import { ClientShell } from '../../src/client.ts'
import { devtools, differences, type Inspectable, replay, rowsOf, type Schedule } from '../../src/devtools.ts'
import { type Environment, type Socket, surroundings } from '../../src/environment.ts'
import { hashOf, LIMITS, node } from '../machine/driver.ts'

/** A client whose server is this test. */
class Scripted {
  socket: Socket | null = null
  readonly sent: { type: string; operationId?: string }[] = []
  readonly client: ClientShell

  constructor() {
    const environment: Environment = {
      ...surroundings(),
      connect: () => {
        this.socket = {
          binaryType: '',
          onopen: null,
          onmessage: null,
          onclose: null,
          onerror: null,
          send: (data) => void this.sent.push(JSON.parse(data as string)),
          close: () => {},
        }
        return this.socket
      },
    }
    this.client = new ClientShell({ url: 'ws://test/ws' }, environment)
  }

  say(frame: object): void {
    this.socket?.onmessage?.({ data: JSON.stringify(frame) })
  }
}

const clients: Scripted[] = []

afterEach(async () => {
  document.body.replaceChildren()
  for (const { client } of clients.splice(0)) await client.close()
})

/** A graph with a node, and an edit of it that is not answered. */
async function editing(): Promise<{ scripted: Scripted; graph: Inspectable; element: HTMLElement }> {
  const scripted = new Scripted()
  clients.push(scripted)
  const graph = scripted.client.graph('g') as Inspectable
  const element = devtools(scripted.client, graph)
  document.body.append(element)
  await Promise.resolve()
  scripted.say({ type: 'WELCOME', heartbeatMs: 30_000, limits: LIMITS })
  const state = { nodes: [node('a')], edges: [], viewport: { x: 0, y: 0, zoom: 1 }, attributes: {} }
  scripted.say({
    type: 'SYNC',
    graphId: 'g',
    status: 'snapshot',
    version: 1,
    hash: hashOf(1),
    access: 'write',
    settled: [],
    state,
  })
  await graph.ready
  graph.updateNode('a', { data: { title: 'mine' } })
  return { scripted, graph, element }
}

async function drawn(): Promise<void> {
  await new Promise((resolve) => requestAnimationFrame(resolve))
  await new Promise((resolve) => requestAnimationFrame(resolve))
}

describe('devtools', () => {
  test('the operations that have not ended are listed with state, base and attempts', async () => {
    const { graph } = await editing()
    expect(rowsOf(graph, Date.now())).toMatchObject([{ what: 'UPDATE_NODE', state: 'sent', base: 1, attempts: 1 }])
  })

  test('what is shown otherwise than confirmed is listed', async () => {
    const { graph } = await editing()
    expect(differences(graph)).toMatchObject([{ entity: 'node', id: 'a', shown: { data: { title: 'mine' } } }])
  })

  test('the console has the same while the element is in the page, and nothing before and after', async () => {
    expect(globalThis.__DAO__).toBeUndefined()
    const { scripted, graph, element } = await editing()
    const found = globalThis.__DAO__?.get('g')
    expect(found).toMatchObject({ client: scripted.client, graph })
    expect(found?.pending()).toEqual(rowsOf(graph, Date.now()).map((row) => ({ ...row, ageMs: expect.any(Number) })))
    expect(found?.differences()).toEqual(differences(graph))
    await drawn()
    expect(replay(JSON.parse(JSON.stringify(found?.seed()))).picture()).toEqual(graph.getSnapshot())
    element.remove()
    expect(globalThis.__DAO__).toBeUndefined()
  })

  test('the element shows frames and steps, and its seed leads to the same state', async () => {
    const { scripted, graph, element } = await editing()
    const operationId = scripted.sent.at(-1)?.operationId
    scripted.say({
      type: 'REVERT',
      graphId: 'g',
      operationId,
      code: 'CONFLICT',
      message: 'no',
      temporary: false,
      version: 1,
    })
    graph.moveNode('a', { x: 5, y: 5 })
    await drawn()
    const text = element.shadowRoot?.textContent ?? ''
    expect(text).toContain('live · v1 · 1 pending')
    expect(text).toContain('← REVERT')
    const schedule = JSON.parse(JSON.stringify((element as unknown as { seed(): Schedule }).seed())) as Schedule
    expect(replay(schedule).picture()).toEqual(graph.getSnapshot())
    element.remove()
  })
})
