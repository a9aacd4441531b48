/** Hooks for nodes, toolbars and badges. Inside `<ReactFlow>` they find the flow by themselves. */
import type { Json, Refusal, Status, UndoState } from '@dao-api/client'
import { type Edge, type Node, useStoreApi } from '@xyflow/react'
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import type { FlowStore } from './flow_store.ts'
import { parsePointer, read } from './leaves.ts'
import type { Person } from './presence.ts'
import type { GraphFlow } from './use_graph_flow.ts'
import { originOf } from './view.ts'

/** The part of a store that does not depend on the types of nodes and edges. */
export type AnyStore = Pick<
  FlowStore,
  | 'graph'
  | 'subscribe'
  | 'people'
  | 'selectedBy'
  | 'setField'
  | 'setCursor'
  | 'undo'
  | 'redo'
  | 'copy'
  | 'paste'
  | 'flush'
  | 'writable'
> & { node: (id: string) => Node | undefined; edge: (id: string) => Edge | undefined }

/** The store behind the `<ReactFlow>` that this component is in. Throws if its nodes are not a flow's. */
function useFlowOf(id: string): AnyStore {
  const { getState } = useStoreApi()
  const { nodeLookup, edgeLookup, nodes, edges } = getState()
  const known = nodeLookup.get(id)?.internals.userNode ?? edgeLookup.get(id) ?? nodes[0] ?? edges[0]
  const flow = known && originOf(known)?.flow
  if (flow === undefined) {
    throw new Error(
      'This <ReactFlow> does not show a graph. Give it the props of useGraphFlow: <ReactFlow {...flow.props}>.',
    )
  }
  return flow as AnyStore
}

/** A node as it is now, `undefined` if there is none. For components inside `<ReactFlow>`. */
export function useNode<N extends Node = Node>(id: string): N | undefined {
  const store = useFlowOf(id)
  const get = useCallback(() => store.node(id), [store, id])
  return useSyncExternalStore(store.subscribe, get, get) as N | undefined
}

/**
 * One field of a node or edge, by JSON Pointer, and the way to write it: `const [label, setLabel] = useField(id,
 * '/data/label')`. What is written is in the view when the call returns, so a controlled input keeps its caret. Text is
 * sent when typing pauses. For components inside `<ReactFlow>`.
 */
export function useField<T extends Json = Json>(
  id: string,
  pointer: string,
): [T | undefined, (value: T | undefined) => void] {
  const store = useFlowOf(id)
  const get = useMemo(() => {
    const path = parsePointer(pointer)
    return () => read(store.node(id) ?? store.edge(id), path) as T | undefined
  }, [store, id, pointer])
  const set = useCallback((value: T | undefined) => store.setField(id, pointer, value), [store, id, pointer])
  return [useSyncExternalStore(store.subscribe, get, get), set]
}

/** Who else has this node or edge selected. For components inside `<ReactFlow>`. */
export function useSelectedBy(id: string): readonly Person[] {
  const store = useFlowOf(id)
  const subscribe = useCallback((listener: () => void) => store.graph.subscribeOthers(listener), [store])
  const get = useCallback(() => store.selectedBy(id), [store, id])
  return useSyncExternalStore(subscribe, get, get)
}

const NOBODY: readonly Person[] = []

/** Who else is in the graph, one entry for each tab. */
export function useOthers({ store }: { store: AnyStore }): readonly Person[] {
  const subscribe = useCallback((listener: () => void) => store.graph.subscribeOthers(listener), [store])
  return useSyncExternalStore(subscribe, store.people, () => NOBODY)
}

const STARTING: Status = {
  connection: 'connecting',
  pending: 0,
  persisted: true,
  access: null,
  point: { version: 0, hash: null },
}

/** Connection, pending commands and access. */
export function useSyncStatus({ store }: { store: AnyStore }): Status {
  const subscribe = useCallback((listener: () => void) => store.graph.subscribeStatus(listener), [store])
  return useSyncExternalStore(
    subscribe,
    () => store.graph.status,
    () => STARTING,
  )
}

const NO_HISTORY: UndoState = { canUndo: false, canRedo: false, undoLabel: null, redoLabel: null }

/** What undo and redo would do, for buttons and menus. */
export function useUndo({ store }: { store: AnyStore }): UndoState & Pick<GraphFlow, 'undo' | 'redo'> {
  const subscribe = useCallback((listener: () => void) => store.graph.subscribeHistory(listener), [store])
  const state = useSyncExternalStore(
    subscribe,
    () => store.graph.history,
    () => NO_HISTORY,
  )
  return { ...state, undo: store.undo, redo: store.redo }
}

/** Calls `told` for each command that is refused for good: what was wanted, what stands now, and how to try again. */
export function useRefusals({ store }: { store: AnyStore }, told: (refusal: Refusal) => void): void {
  const latest = useRef(told)
  useEffect(() => {
    latest.current = told
  })
  useEffect(() => store.graph.on('refused', (refusal) => latest.current(refusal)), [store])
}
