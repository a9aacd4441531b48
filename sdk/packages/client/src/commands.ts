/** From what an editor calls to commands of the protocol (rules C and G). */

import type {
  BatchOptions,
  CommandOptions,
  GraphNode,
  Json,
  JsonObject,
  NewEdge,
  NewNode,
  Position,
  Writes,
} from './api.ts'
import type { ActOptions } from './machine/effects.ts'
import { ORIGIN, type Point } from './machine/operation.ts'
import { type Action, type Command, type Member, plain } from './model/index.ts'

/** Where commands go: to the queue, or into a batch. */
export type Take<R> = (command: Command, options: CommandOptions) => R

/** Makes commands of calls. `newId` makes ids of nodes and edges. */
export function writes<R>(take: Take<R>, newId: () => string): Writes<R> {
  return {
    createNode: (node, options = {}) => {
      const payload = nodePayload(node, newId)
      return withId(take({ type: 'CREATE_NODE', payload }, options), payload.id)
    },
    updateNode: (nodeId, patch, options = {}) =>
      take({ type: 'UPDATE_NODE', payload: { nodeId, updates: plain(patch) } }, options),
    moveNode: (nodeId, position, options = {}) =>
      take({ type: 'UPDATE_NODE_POSITION', payload: { nodeId, position: at(position) } }, options),
    replaceNodes: (nodes: readonly GraphNode[], options = {}) =>
      take({ type: 'BATCH_UPDATE', payload: { nodes: plain(nodes as unknown as Json) as JsonObject[] } }, options),
    deleteNode: (nodeId, options = {}) => take({ type: 'DELETE_NODE', payload: { nodeId } }, options),
    createEdge: (edge, options = {}) => {
      const payload = edgePayload(edge, newId)
      return withId(take({ type: 'CREATE_EDGE', payload }, options), payload.id)
    },
    updateEdge: (edgeId, patch, options = {}) =>
      take({ type: 'UPDATE_EDGE', payload: { edgeId, updates: plain(patch) } }, options),
    deleteEdge: (edgeId, options = {}) => take({ type: 'DELETE_EDGE', payload: { edgeId } }, options),
    setViewport: ({ x, y, zoom }, options = {}) => take({ type: 'SET_VIEWPORT', payload: { x, y, zoom } }, options),
  }
}

function withId<R>(made: R, id: string): R & { readonly id: string } {
  return { ...made, id }
}

function nodePayload(node: NewNode, newId: () => string): JsonObject & { id: string } {
  const { id, ...rest } = plain(node as unknown as JsonObject)
  return { id: typeof id === 'string' ? id : newId(), position: { x: 0, y: 0 }, ...rest } as JsonObject & { id: string }
}

type EdgePayload = JsonObject & { id: string; source: string; target: string }

function edgePayload(edge: NewEdge, newId: () => string): EdgePayload {
  const { id, ...rest } = plain(edge as unknown as JsonObject)
  return { id: typeof id === 'string' ? id : newId(), ...rest } as EdgePayload
}

function at({ x, y }: Position): Position {
  return { x, y }
}

/** The commands of a batch as one action; `null` if there are none. */
export function batchOf(
  fill: (batch: Writes<void>) => void,
  newId: () => string,
  { ifMissing }: BatchOptions,
): Action | null {
  const operations: Member[] = []
  const take = (command: Command, { onConflict }: CommandOptions): void => {
    operations.push(onConflict === undefined ? command : { ...command, onConflict })
  }
  fill(writes<void>(take, newId))
  const [only] = operations
  if (only === undefined) return null
  if (operations.length === 1 && ifMissing !== 'skip' && only.onConflict === undefined) return only
  return ifMissing === undefined ? { type: 'BATCH', operations } : { type: 'BATCH', operations, ifMissing }
}

/** The options as the machine takes them. */
export function actOptions({ onConflict, after, label, undoGroup, since }: CommandOptions): ActOptions {
  return { onConflict, after, label, undoGroup, since: since && pointOf(since) }
}

function pointOf({ version, hash }: { version: number; hash: string | null }): Point {
  return hash === null ? ORIGIN : { version, hash }
}
