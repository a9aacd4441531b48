/** What people do: commands on few nodes and edges, so that they meet. Every value that is written is written once. */

import type { JsonObject, OnConflict } from '../../src/api.ts'
import type { Action, Command, GraphState } from '../../src/model/index.ts'

export const NODES: readonly string[] = ['a', 'b', 'c', 'd']
const EDGES: readonly string[] = ['x', 'y', 'z']
export const FIELDS: readonly string[] = ['f', 'g']

export interface Act {
  readonly action: Action
  readonly onConflict?: OnConflict
}

/** Draws from two numbers of a step. */
class Draw {
  private rest: number
  constructor(a: number, b: number) {
    this.rest = (a ^ Math.imul(b, 0x9e3779b1)) >>> 0
  }
  below(end: number): number {
    this.rest = (Math.imul(this.rest, 1_664_525) + 1_013_904_223) >>> 0
    return (this.rest >>> 8) % end
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }
}

/** What somebody does who sees this. `value` is another one each time. */
export function actOf(a: number, b: number, seen: GraphState, value: () => string): Act {
  const draw = new Draw(a, b)
  const policy = draw.below(12)
  const onConflict: { onConflict?: OnConflict } =
    policy === 0 ? { onConflict: 'overwrite' } : policy === 1 ? { onConflict: 'reject' } : {}
  if (draw.below(7) > 0) return { action: command(draw, seen, value), ...onConflict }
  const operations = Array.from({ length: 1 + draw.below(3) }, () => command(draw, seen, value))
  const ifMissing = draw.below(2) === 0 ? 'skip' : 'refuse'
  return { action: { type: 'BATCH', operations, ifMissing }, ...onConflict }
}

function command(draw: Draw, seen: GraphState, value: () => string): Command {
  const nodeId = draw.of(NODES)
  const edgeId = draw.of(EDGES)
  // What is not there is mostly made, and what is there is mostly changed.
  const isThere = seen.nodes.has(nodeId)
  switch (isThere ? draw.below(16) : draw.below(20) === 0 ? 0 : 99) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return { type: 'UPDATE_NODE', payload: { nodeId, updates: { data: { [draw.of(FIELDS)]: value() } } } }
    case 5:
    case 6:
      return { type: 'UPDATE_NODE_POSITION', payload: { nodeId, position: { x: draw.below(9), y: draw.below(9) } } }
    case 7:
      return { type: 'DELETE_NODE', payload: { nodeId } }
    case 8: {
      const parentId = draw.below(3) === 0 ? null : draw.of(NODES)
      return { type: 'UPDATE_NODE', payload: { nodeId, updates: { parentId } } }
    }
    case 9:
    case 10:
    case 11:
      return seen.edges.has(edgeId)
        ? changeEdge(draw, edgeId, value)
        : { type: 'CREATE_EDGE', payload: { id: edgeId, source: nodeId, target: draw.of(NODES) } }
    case 12:
      return { type: 'SET_VIEWPORT', payload: { x: draw.below(5), y: 0, zoom: 1 } }
    case 13:
      return { type: 'UPDATE_GRAPH', payload: { updates: { title: value() } } }
    case 14: {
      const node = { id: nodeId, position: { x: draw.below(9), y: 0 }, data: { [draw.of(FIELDS)]: value(), n: null } }
      return { type: 'BATCH_UPDATE', payload: { nodes: [node] } }
    }
    case 15:
      return { type: 'UPDATE_NODE', payload: { nodeId, updates: { data: { [draw.of(FIELDS)]: null } } } }
    default: {
      const payload: JsonObject & { id: string } = { id: nodeId, position: { x: draw.below(9), y: 0 } }
      payload.data = { [draw.of(FIELDS)]: value() }
      const parentId = draw.of(NODES)
      if (draw.below(4) === 0 && seen.nodes.has(parentId)) payload.parentId = parentId
      return { type: 'CREATE_NODE', payload }
    }
  }
}

function changeEdge(draw: Draw, edgeId: string, value: () => string): Command {
  switch (draw.below(3)) {
    case 0:
      return { type: 'DELETE_EDGE', payload: { edgeId } }
    case 1:
      return { type: 'UPDATE_EDGE', payload: { edgeId, updates: { target: draw.of(NODES) } } }
    default:
      return { type: 'UPDATE_EDGE', payload: { edgeId, updates: { data: { f: value() } } } }
  }
}
