// @vitest-environment jsdom
import type { Client, Status } from '@dao-api/client'
import { testServer } from '@dao-api/client/testing'
import { act, Component, type ReactNode, StrictMode, Suspense } from 'react'
import { createRoot, type Root } from 'react-dom/client'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { useSyncStatus } from '../../src/index.ts'
import { LINGER_MS } from '../../src/lease.ts'
import { GraphRefused, useSuspenseGraphFlow } from '../../src/suspense.ts'
import { MemoryGraph } from './memory_graph.ts'
import { node } from './set_up.ts'

/** A client of graphs that have no state yet. One that is refused stays until it is closed, as with the real one. */
class WaitingClient implements Client {
  readonly clientId = 'tab-1'
  opened: MemoryGraph[] = []
  asked = 0
  graph = (): MemoryGraph => {
    this.asked += 1
    const known = this.opened.at(-1)
    if (known?.status.refusal !== undefined && !known.closed) return known
    const graph = new MemoryGraph([node('a')])
    graph.setReady(false)
    graph.setStatus({ connection: 'connecting' })
    this.opened.push(graph)
    return graph
  }
  get first(): MemoryGraph {
    return this.opened[0]!
  }
  close = (): Promise<void> => Promise.resolve()
  forget = (): Promise<void> => Promise.resolve()
  inspect = (): never => {
    throw new Error('not in these tests')
  }
}

const REFUSED: Partial<Status> = { connection: 'closed', refusal: 'FORBIDDEN' }

class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null }
  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error }
  }
  override componentDidCatch(error: Error): void {
    errors.push(error)
  }
  override render(): ReactNode {
    const { error } = this.state
    if (error === null) return this.props.children
    const code = error instanceof GraphRefused ? error.code : error.message
    return (
      <button type="button" onClick={() => this.setState({ error: null })}>
        {code}
      </button>
    )
  }
}

let root: Root
let container: HTMLElement
let errors: unknown[]
beforeEach(() => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true)
  vi.useFakeTimers()
  container = document.body.appendChild(document.createElement('div'))
  errors = []
  root = createRoot(container, { onCaughtError: () => {} })
})
afterEach(() => {
  act(() => root.unmount())
  container.remove()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function Flow({ client, id = 'g' }: { client: Client; id?: string }): ReactNode {
  const flow = useSuspenseGraphFlow(client, id)
  return `${flow.ready ? 'ready' : 'not ready'}: ${flow.props.nodes.map((each) => each.data.label)}`
}

function WithStatus({ client }: { client: Client }): ReactNode {
  const flow = useSuspenseGraphFlow(client, 'g')
  return `${flow.props.nodes.length} ${useSyncStatus(flow).connection}`
}

const show = (client: Client): Promise<void> =>
  act(async () =>
    root.render(
      <StrictMode>
        <Boundary>
          <Suspense fallback="loading">
            <Flow client={client} />
          </Suspense>
        </Boundary>
      </StrictMode>,
    ),
  )
const pass = (ms: number): Promise<void> => act(async () => void (await vi.advanceTimersByTimeAsync(ms)))

describe('useSuspenseGraphFlow', () => {
  test('suspends until the first state is there, however long that takes, with one graph', async () => {
    const client = new WaitingClient()
    await show(client)
    expect(container.textContent).toBe('loading')
    await pass(10 * LINGER_MS)
    expect(container.textContent).toBe('loading')
    await act(async () => client.first.setReady(true))
    expect(container.textContent).toBe('ready: a')
    await pass(10 * LINGER_MS)
    act(() => client.first.remote((graph) => graph.createNode(node('b'))))
    expect(container.textContent).toBe('ready: a,b')
    expect(client.opened).toHaveLength(1)
    expect(client.first.closed).toBe(false)
  })

  test('shows a graph that is there at once, without a fallback', async () => {
    const client = new WaitingClient()
    const graph = client.graph()
    graph.setReady(true)
    client.graph = () => graph
    act(() => root.render(<Flow client={client} />))
    expect(container.textContent).toBe('ready: a')
  })

  test('what was waited for and is not shown is closed', async () => {
    const client = new WaitingClient()
    await show(client)
    act(() => root.render(null))
    await act(async () => client.first.setReady(true))
    await pass(LINGER_MS)
    expect(client.first.closed).toBe(true)
    expect(client.first.listening).toBe(0)
  })

  test('a graph that is refused for good reaches the error boundary, with the code', async () => {
    const client = new WaitingClient()
    await show(client)
    await act(async () => client.first.setStatus(REFUSED))
    expect(container.textContent).toBe('FORBIDDEN')
    expect(errors).toEqual([expect.objectContaining({ name: 'GraphRefused', graphId: 'g', code: 'FORBIDDEN' })])
    expect(client.opened).toHaveLength(1)
  })

  test('tried again later, the graph is asked for again', async () => {
    const client = new WaitingClient()
    await show(client)
    const again = (): Promise<void> => act(async () => container.querySelector('button')?.click())
    await act(async () => client.first.setStatus(REFUSED))
    await again()
    expect(container.textContent).toBe('FORBIDDEN')
    await pass(LINGER_MS)
    await again()
    expect(container.textContent).toBe('loading')
    const now = client.opened.at(-1)!
    await act(async () => now.setStatus({ connection: 'connecting' }))
    await act(async () => now.setStatus(REFUSED))
    expect(container.textContent).toBe('FORBIDDEN')
    await pass(LINGER_MS)
    await again()
    const last = client.opened.at(-1)!
    await act(async () => last.setStatus({ connection: 'live' }))
    await act(async () => last.setReady(true))
    expect(container.textContent).toBe('ready: a')
  })

  test('a client that is closed does not keep anybody waiting', async () => {
    const client = new WaitingClient()
    await show(client)
    await act(async () => client.first.setStatus({ connection: 'closed' }))
    expect(container.textContent).toBe('CLOSED')
  })

  test('a client that was closed before the first render reaches the error boundary, too', async () => {
    const client = testServer().client('ada')
    await client.close()
    await show(client)
    expect(container.textContent).toBe('CLOSED')
    expect(errors).toEqual([expect.objectContaining({ name: 'GraphRefused', graphId: 'g', code: 'CLOSED' })])
  })

  test('a graph that was shown stays when it is refused later, and so does what this device has', async () => {
    const client = new WaitingClient()
    await show(client)
    await act(async () => client.first.setReady(true))
    await act(async () => client.first.setStatus(REFUSED))
    expect(container.textContent).toBe('ready: a')
    expect(errors).toEqual([])
  })

  test('rendering does not ask again for a graph that was refused later, though its status is shown', async () => {
    const client = new WaitingClient()
    await act(async () =>
      root.render(
        <Suspense fallback="loading">
          <WithStatus client={client} />
        </Suspense>,
      ),
    )
    await act(async () => client.first.setReady(true))
    const { asked } = client
    // Asked again, it would be closed, connecting and closed again, without an end.
    for (let time = 0; time < 3; time++) {
      await act(async () => client.first.setStatus(REFUSED))
      expect(container.textContent).toBe('1 closed')
      await act(async () => client.first.setStatus({ connection: 'connecting' }))
    }
    expect(client.asked).toBe(asked)
  })

  test('the first state of a server is shown when it is there', async () => {
    vi.useRealTimers()
    const server = testServer()
    const client = server.client('ada')
    await act(async () =>
      root.render(
        <Suspense fallback="loading">
          <Flow client={client} />
        </Suspense>,
      ),
    )
    expect(container.textContent).toBe('loading')
    await act(async () => server.quiet())
    expect(container.textContent).toBe('ready: ')
    act(() => void client.graph('g').createNode(node('a')))
    await act(async () => server.quiet())
    expect(container.textContent).toBe('ready: a')
    await act(async () => client.close())
  })
})
