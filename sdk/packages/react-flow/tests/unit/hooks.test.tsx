// @vitest-environment jsdom
import type { Client, GraphNode, Refusal } from '@dao-api/client'
import { type Node, type NodeProps, ReactFlow } from '@xyflow/react'
import { Activity, act, StrictMode, useState } from 'react'
import { createRoot, type Root } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type GraphFlow,
  SyncBadge,
  UndoKeys,
  useField,
  useGraphFlow,
  useOthers,
  useRefusals,
  useSyncStatus,
} from '../../src/index.ts'
import { LINGER_MS } from '../../src/lease.ts'
import { MemoryGraph } from './memory_graph.ts'
import { node } from './set_up.ts'

/** A client of graphs in memory that counts what it opens. */
class MemoryClient implements Client {
  readonly clientId = 'tab-1'
  opened: MemoryGraph[] = []
  constructor(readonly nodes: GraphNode[] = []) {}
  graph = (): MemoryGraph => {
    const graph = new MemoryGraph(this.nodes)
    this.opened.push(graph)
    return graph
  }
  close = (): Promise<void> => Promise.resolve()
  forget = (): Promise<void> => Promise.resolve()
  inspect = (): never => {
    throw new Error('not in these tests')
  }
}

let root: Root
let container: HTMLElement
beforeEach(() => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true)
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe(): void {}
      unobserve(): void {}
      disconnect(): void {}
    },
  )
  container = document.body.appendChild(document.createElement('div'))
  root = createRoot(container)
})
afterEach(() => {
  act(() => root.unmount())
  container.remove()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const render = (element: React.ReactNode): void => act(() => root.render(element))

function Flow({ client, seen }: { client: Client; seen?: (flow: GraphFlow) => void }): React.ReactNode {
  const flow = useGraphFlow(client, 'g')
  seen?.(flow)
  return (
    <ul>
      {flow.props.nodes.map((each: Node) => (
        <li key={each.id}>{String(each.data.label)}</li>
      ))}
    </ul>
  )
}

function Label({ id }: NodeProps): React.ReactNode {
  const [label = '', setLabel] = useField<string>(id, '/data/label')
  return <input value={label} onChange={(event) => setLabel(event.target.value)} />
}
const nodeTypes = { default: Label }
const sized = (id: string): GraphNode => node(id, { width: 100, height: 40 })

function Editor({ client }: { client: Client }): React.ReactNode {
  const flow = useGraphFlow(client, 'g')
  const [refused, setRefused] = useState('')
  useRefusals(flow, (refusal) => setRefused(refusal.summary))
  const status = useSyncStatus(flow)
  const others = useOthers(flow)
  return (
    <>
      <ReactFlow {...flow.props} nodeTypes={nodeTypes} width={500} height={500}>
        <SyncBadge flow={flow} />
        <UndoKeys flow={flow} />
      </ReactFlow>
      <output>{`${status.pending} pending, ${others.map(({ name }) => name).join()} here, ${refused}`}</output>
    </>
  )
}

/** A part's effects run before those of what it is in. */
function Here({ flow }: { flow: GraphFlow }): React.ReactNode {
  return useOthers(flow).map(({ name }) => name)
}

function Room({ client }: { client: Client }): React.ReactNode {
  return <Here flow={useGraphFlow(client, 'g')} />
}

describe('useGraphFlow', () => {
  test('M10 shows the graph and follows it', () => {
    const client = new MemoryClient([node('a')])
    render(<Flow client={client} />)
    expect(container.textContent).toBe('a')
    act(() => client.opened[0]!.remote((on) => on.updateNode('a', { data: { label: 'b' } })))
    expect(container.textContent).toBe('b')
  })

  test('StrictMode and two components open one graph; it is closed when the last one is gone for a while', () => {
    vi.useFakeTimers()
    const client = new MemoryClient([node('a')])
    render(
      <StrictMode>
        <Flow client={client} />
        <Flow client={client} />
      </StrictMode>,
    )
    expect(client.opened).toHaveLength(1)
    const [graph] = client.opened
    act(() => void vi.advanceTimersByTime(10 * LINGER_MS))
    expect(graph?.closed).toBe(false)
    render(null)
    expect(graph?.listening).toBe(0)
    expect(graph?.closed).toBe(false)
    act(() => void vi.advanceTimersByTime(LINGER_MS))
    expect(graph?.closed).toBe(true)
    render(<Flow client={client} />)
    expect(client.opened).toHaveLength(2)
    expect(container.textContent).toBe('a')
  })

  test('a graph that somebody else has ended is opened anew; one that stays closed is kept and not held twice', () => {
    vi.useFakeTimers()
    const client = new MemoryClient([node('a')])
    render(<Flow client={client} />)
    const [first] = client.opened
    first!.status = { ...first!.status, connection: 'closed' }
    render(null)
    render(<Flow client={client} />)
    expect(client.opened).toHaveLength(2)
    act(() => client.opened[1]!.remote((on) => on.updateNode('a', { data: { label: 'b' } })))
    expect(container.textContent).toBe('b')
    act(() => void vi.advanceTimersByTime(LINGER_MS))
    expect(client.opened.map(({ closed }) => closed)).toEqual([true, false])

    const [, second] = client.opened
    second!.status = { ...second!.status, connection: 'closed' }
    let [holds, closes] = [0, 0]
    second!.close = () => void closes++
    client.graph = () => {
      holds++
      return second!
    }
    render(null)
    render(<Flow client={client} />)
    expect(holds).toBeGreaterThan(0)
    expect(closes).toBe(holds)
    client.graph = () => {
      throw new Error('this client is closed')
    }
    render(null)
    render(<Flow client={client} />)
    expect(container.textContent).toBe('b')
  })

  test('M10 what is shown again after it was hidden, and all parts of it, listen to the graph that is open now', () => {
    vi.useFakeTimers()
    const client = new MemoryClient()
    const page = (mode: 'visible' | 'hidden'): React.ReactNode => (
      <Activity mode={mode}>
        <Room client={client} />
      </Activity>
    )
    render(page('visible'))
    render(page('hidden'))
    act(() => void vi.advanceTimersByTime(LINGER_MS))
    expect(client.opened.map(({ closed }) => closed)).toEqual([true])
    render(page('visible'))
    expect(client.opened).toHaveLength(2)
    const graph = client.opened[1]!
    act(() => graph.setOthers([{ clientId: 'b', userId: 'bob', slots: { '': { name: 'Bob' } } }]))
    expect(container.textContent).toBe('Bob')
    act(() => void vi.advanceTimersByTime(LINGER_MS))
    expect(graph.closed).toBe(false)
  })

  test('M4 unmounting in the middle of a drag sends it', () => {
    const client = new MemoryClient([node('a')])
    let flow: GraphFlow | undefined
    render(<Flow client={client} seen={(now) => (flow = now)} />)
    act(() => flow!.props.onNodesChange([{ type: 'position', id: 'a', position: { x: 5, y: 5 }, dragging: true }]))
    render(null)
    expect(client.opened[0]?.commits.map(({ calls }) => calls)).toEqual([[['moveNode', 'a', { x: 5, y: 5 }]]])
  })

  test('M4 pagehide in the middle of a drag sends it', () => {
    const client = new MemoryClient([node('a')])
    let flow: GraphFlow | undefined
    render(<Flow client={client} seen={(now) => (flow = now)} />)
    act(() => flow!.props.onNodesChange([{ type: 'position', id: 'a', position: { x: 5, y: 5 }, dragging: true }]))
    act(() => void window.dispatchEvent(new Event('pagehide')))
    expect(client.opened[0]?.commits).toHaveLength(1)
  })

  test('M4 A13 it is sent before the client, which was there first, closes the connection of a kept page', () => {
    const client = new MemoryClient([node('a')])
    let sent: number | undefined
    const close = (): void => {
      sent = client.opened[0]?.commits.length
    }
    addEventListener('pagehide', close)
    let flow: GraphFlow | undefined
    render(<Flow client={client} seen={(now) => (flow = now)} />)
    act(() => flow!.props.onNodesChange([{ type: 'position', id: 'a', position: { x: 5, y: 5 }, dragging: true }]))
    act(() => void window.dispatchEvent(new Event('pagehide')))
    removeEventListener('pagehide', close)
    expect(sent).toBe(1)
  })

  test('a server renders an empty flow and opens nothing', () => {
    const client = new MemoryClient([node('a')])
    expect(renderToString(<Flow client={client} />)).toBe('<ul></ul>')
    expect(client.opened).toEqual([])
  })

  test('with access to read, the props lock what would write', () => {
    const client = new MemoryClient([node('a')])
    let flow: GraphFlow | undefined
    render(<Flow client={client} seen={(now) => (flow = now)} />)
    expect(flow?.props).not.toHaveProperty('nodesDraggable')
    act(() => client.opened[0]!.setAccess('read'))
    expect(flow).toMatchObject({
      readOnly: true,
      props: { nodesDraggable: false, nodesConnectable: false, deleteKeyCode: null },
    })
  })
})

describe('hooks around it', () => {
  test('M10 useField: a controlled input keeps its caret, because the view has the text when the call returns', () => {
    const client = new MemoryClient([sized('a')])
    render(<Editor client={client} />)
    const input = container.querySelector('input')!
    expect(input.value).toBe('a')
    const setValue = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!
    act(() => {
      setValue.call(input, 'xa')
      input.setSelectionRange(1, 1)
      input.dispatchEvent(new Event('input', { bubbles: true }))
      // React has put the value back by now if the state came late, and the caret would be at the end.
      expect([input.value, input.selectionStart]).toEqual(['xa', 1])
    })
    expect(input.selectionStart).toBe(1)
  })

  test('status, people and refusals arrive', () => {
    const client = new MemoryClient([sized('a')])
    render(<Editor client={client} />)
    const [graph] = client.opened
    act(() => graph!.setOthers([{ clientId: 'b', userId: 'bob', slots: { '': { name: 'Bob' } } }]))
    act(() => graph!.refuse({ summary: 'Bob wrote label' } as Refusal))
    expect(container.querySelector('output')?.textContent).toBe('0 pending, Bob here, Bob wrote label')
    expect(container.querySelector('.dao-sync-badge')?.textContent).toBe('Saved')
  })

  test('A11 the keys of undo, but not in a text field', () => {
    const client = new MemoryClient([sized('a')])
    render(<Editor client={client} />)
    const press = (target: EventTarget): void =>
      act(() => void target.dispatchEvent(new KeyboardEvent('keydown', { key: 'z', ctrlKey: true, bubbles: true })))
    press(container.querySelector('input')!)
    expect(client.opened[0]?.undone).toBe(0)
    press(document.body)
    expect(client.opened[0]?.undone).toBe(1)
  })
})
