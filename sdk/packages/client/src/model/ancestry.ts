/** Parents exist, and no node is inside itself (rule G4). */

import type { GraphNode } from '../api.ts'
import { parentsOf } from './entity.ts'
import { type Refused, refused } from './refused.ts'
import type { GraphState } from './state.ts'

/** Checks a node that stands, or is about to stand, in the state. */
export function checkParents(state: GraphState, node: GraphNode): Refused | null {
  const parents = parentsOf(node)
  if (parents.length === 0) return null
  for (const { field, id } of parents) {
    if (id !== node.id && !state.nodes.has(id)) {
      const about = { kind: 'node' as const, id: node.id, field, missing: id }
      return refused('PARENT_NOT_FOUND', `${field} ${id} of node ${node.id} does not exist`, about)
    }
  }
  return isInside(state, node, parents) ? refused('PARENT_CYCLE', `Node ${node.id} would be inside itself`) : null
}

/** Whether walking up from the node leads to itself. */
function isInside(state: GraphState, node: GraphNode, parents: { id: string }[]): boolean {
  const seen = new Set<string>()
  const next = parents.map((parent) => parent.id)
  for (let id = next.pop(); id !== undefined; id = next.pop()) {
    if (id === node.id) return true
    if (seen.has(id)) continue
    seen.add(id)
    const above = state.nodes.get(id)
    if (above !== undefined) for (const parent of parentsOf(above.entity)) next.push(parent.id)
  }
  return false
}

/** The node and all nodes inside it, parents first; none if there is no such node. */
export function withDescendants(state: GraphState, id: string): GraphNode[] {
  const first = state.nodes.get(id)
  const found = first === undefined ? [] : [first]
  const seen = new Set(found.map((row) => row.slot))
  for (const row of found) {
    for (const child of state.childrenOf(row.entity.id)) {
      if (seen.has(child.slot)) continue
      seen.add(child.slot)
      found.push(child)
    }
  }
  return found.map((row) => row.entity)
}

/** The ids of the edges that begin or end at any of these nodes, each once, in creation order. */
export function edgesOfAll(state: GraphState, nodes: readonly GraphNode[]): string[] {
  const edges = new Map<string, number>()
  for (const node of nodes) for (const { entity, ordinal } of state.edgesOf(node.id)) edges.set(entity.id, ordinal)
  return [...edges].sort((a, b) => a[1] - b[1]).map(([id]) => id)
}
