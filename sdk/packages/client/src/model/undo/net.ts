/**
 * The events that make a graph what an undo made of its copy: one for each entity, in an order in which each finds what
 * it refers to.
 */

import type { GraphEdge, GraphNode } from '../../api.ts'
import { edgeChange, nodeChange } from '../batch_update.ts'
import type { Limits } from '../command.ts'
import type { Entity, GraphEvent } from '../event.ts'
import { isEqual } from '../json.ts'
import { between } from '../patch.ts'
import type { GraphState } from '../state.ts'
import type { Placed } from '../table.ts'
import { parentsFirst } from './order.ts'

/** From `head` to `then`, which differ in these entities at most, in the order in which they were touched. */
export function netEvents(head: GraphState, then: GraphState, touched: Iterable<Entity>, limits: Limits): GraphEvent[] {
  const restored: Placed<GraphNode>[] = []
  const changed: GraphEvent[] = []
  const edges: GraphEvent[] = []
  const deletedEdges: GraphEvent[] = []
  const deleted: Placed<GraphNode>[] = []
  const others: GraphEvent[] = []
  let isExchanged = false
  for (const { kind, id } of touched) {
    if (kind === 'node') {
      const [old, node] = [head.nodes.get(id), then.nodes.get(id)]
      const isOther = old !== undefined && node !== undefined && old.ordinal !== node.ordinal
      isExchanged ||= isOther
      if (old !== undefined && (node === undefined || isOther)) deleted.push(old)
      if (node !== undefined && (old === undefined || isOther)) restored.push(node)
      if (old !== undefined && node !== undefined && !isOther) push(changed, nodeChange(head, node.entity, limits))
    } else if (kind === 'edge') {
      const [old, edge] = [head.edges.get(id), then.edges.get(id)]
      const isOther = old !== undefined && edge !== undefined && old.ordinal !== edge.ordinal
      isExchanged ||= isOther
      if (old !== undefined && (edge === undefined || isOther)) deletedEdges.push({ type: 'EdgeDeleted', edgeId: id })
      if (edge !== undefined && (old === undefined || isOther)) edges.push(restoredEdge(edge))
      if (old !== undefined && edge !== undefined && !isOther) push(edges, edgeChange(head, edge.entity, limits))
    } else if (kind === 'viewport') {
      if (!isEqual(head.viewport, then.viewport)) others.push({ type: 'ViewportSet', viewport: then.viewport })
    } else if (!isEqual(head.attributes, then.attributes)) {
      const patch = between(head.attributes, then.attributes)
      if (patch !== null) others.push({ type: 'GraphUpdated', patch })
    }
  }
  const entity = (row: Placed<GraphNode>): GraphNode => row.entity
  const there = [...parentsFirst(restored, entity).map(restoredNode), ...changed, ...edges]
  const gone = parentsFirst(deleted.reverse(), entity).reverse()
  const away = [...deletedEdges, ...gone.map((row): GraphEvent => ({ type: 'NodeDeleted', nodeId: row.entity.id }))]
  // What is exchanged for what had its id before goes before it comes.
  return isExchanged ? [...away, ...there, ...others] : [...there, ...away, ...others]
}

function push(events: GraphEvent[], event: GraphEvent | null): void {
  if (event !== null) events.push(event)
}

function restoredNode({ entity, ordinal, createdAt }: Placed<GraphNode>): GraphEvent {
  return { type: 'NodeRestored', node: entity, ordinal, createdAt }
}

function restoredEdge({ entity, ordinal, createdAt }: Placed<GraphEdge>): GraphEvent {
  return { type: 'EdgeRestored', edge: entity, ordinal, createdAt }
}
