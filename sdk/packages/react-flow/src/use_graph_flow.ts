/** The hook that makes a `<ReactFlow>` multi-user. */
import type { Client, Graph, Json, Position, Sent, UndoOutcome } from '@dao-api/client'
import type { Edge, Node, OnConnect, OnEdgesChange, OnNodesChange, OnReconnect } from '@xyflow/react'
import { useLayoutEffect, useMemo, useSyncExternalStore } from 'react'
import { browser } from './browser.ts'
import type { Clip } from './clipboard.ts'
import { FlowStore } from './flow_store.ts'
import { lease } from './lease.ts'
import type { FlowOptions } from './options.ts'
import type { FlowSnapshot } from './picture.ts'

/** What `<ReactFlow {...flow.props}>` takes. */
export interface FlowProps<N extends Node = Node, E extends Edge = Edge> {
  nodes: N[]
  edges: E[]
  onNodesChange: OnNodesChange<N>
  onEdgesChange: OnEdgesChange<E>
  onConnect: OnConnect
  onReconnect: OnReconnect<E>
  nodesDraggable?: false
  nodesConnectable?: false
  edgesReconnectable?: false
  deleteKeyCode?: null
}

export interface GraphFlow<N extends Node = Node, E extends Edge = Edge> {
  readonly props: FlowProps<N, E>
  /** The graph behind it, for everything that is not React Flow's. */
  readonly graph: Graph
  /** The part without React. */
  readonly store: FlowStore<N, E>
  /** `false` until the first state came, from this device or from the server. */
  readonly ready: boolean
  /** The access to the graph is `read`. */
  readonly readOnly: boolean
  /** Takes back the last step of this tab; `null` if there is none. */
  undo(): Promise<UndoOutcome> | null
  redo(): Promise<UndoOutcome> | null
  /** The selected nodes, what is inside them and the edges among them, as JSON; `null` if no node is selected. */
  copy(): Clip | null
  /** Puts a copy in, as one commit, with its upper left corner at `at` (the flow's coordinates). Returns the new ids. */
  paste(from: Clip, at?: Position): string[]
  /** Writes one field, given by a JSON Pointer, of a node or edge. Text is sent when typing pauses. */
  setField(id: string, pointer: string, value: Json | undefined): void
  /** Sends the viewport with which the graph opens for everybody. */
  saveViewport(viewport: { x: number; y: number; zoom: number }): Sent
  /** Sends what is held: a drag that goes on, text that is being typed. */
  flush(): Sent | null
}

const SERVER: FlowSnapshot<never, never> = { nodes: [], edges: [], ready: false, readOnly: false }
const LOCKED = {
  nodesDraggable: false,
  nodesConnectable: false,
  edgesReconnectable: false,
  deleteKeyCode: null,
} as const

/**
 * Follows and edits a graph with React Flow. Opens the graph while the component is mounted. On a server it renders an
 * empty flow.
 *
 * `options.local` is read when the flow is made; the other options may change.
 *
 * @example
 * const flow = useGraphFlow(client, 'team-a.flow-7')
 * return <ReactFlow {...flow.props} nodeTypes={nodeTypes} fitView />
 */
export function useGraphFlow<N extends Node = Node, E extends Edge = Edge>(
  client: Client,
  id: string,
  options: FlowOptions<E> = {},
): GraphFlow<N, E> {
  // biome-ignore lint/correctness/useExhaustiveDependencies: options are taken over below, without a new store.
  const store = useMemo(() => new FlowStore<N, E>(lease(client, id), options, browser), [client, id])
  const snapshot = useSyncExternalStore<FlowSnapshot<N, E>>(store.subscribe, store.getSnapshot, () => SERVER)
  useLayoutEffect(() => {
    store.options = options
  })
  return useMemo(() => {
    const { nodes, edges, ready, readOnly } = snapshot
    const { onNodesChange, onEdgesChange, onConnect, onReconnect } = store
    const { undo, redo, copy, paste, setField, saveViewport, flush } = store
    const props = { nodes, edges, onNodesChange, onEdgesChange, onConnect, onReconnect, ...(readOnly && LOCKED) }
    return {
      props,
      store,
      get graph() {
        return store.graph
      },
      ready,
      readOnly,
      undo,
      redo,
      copy,
      paste,
      setField,
      saveViewport,
      flush,
    }
  }, [store, snapshot])
}
