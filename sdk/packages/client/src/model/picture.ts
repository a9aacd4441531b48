/**
 * Pictures: what an editor draws. A picture after a change of k entities has new objects for those k only (rule M9), and
 * making it costs those k and a copy of two arrays of references.
 */

import type { GraphEdge, GraphNode, GraphSnapshot, Json } from '../api.ts'
import { share } from './json.ts'
import { nodesInOrder } from './order.ts'
import type { GraphState } from './state.ts'
import type { Placed, Table } from './table.ts'

interface Drawn<E> {
  readonly list: readonly E[]
  /** Where the entity of a slot is in the list. */
  readonly index: ReadonlyMap<number, number>
  readonly rows: Table<E>['rows']
  readonly shape: object
}

interface Source {
  readonly nodes: Drawn<GraphNode>
  readonly edges: Drawn<GraphEdge>
}

const sources = new WeakMap<GraphSnapshot, Source>()

/**
 * The picture of a state. What is equal in `previous`, a picture that this function made, is the same object; if nothing
 * changed, that is `previous` itself. `ready`: whether there is a first state.
 */
export function picture(state: GraphState, previous?: GraphSnapshot, ready = true): GraphSnapshot {
  const source = previous && sources.get(previous)
  const drawn: Source = {
    nodes: draw(state.nodes, () => nodesInOrder(state), source?.nodes),
    edges: draw(state.edges, () => state.edges.inOrder(), source?.edges),
  }
  const viewport = share(previous?.viewport, state.viewport)
  const attributes = share(previous?.attributes, state.attributes)
  const isSame =
    previous?.ready === ready &&
    drawn.nodes.list === source?.nodes.list &&
    drawn.edges.list === source.edges.list &&
    viewport === previous.viewport &&
    attributes === previous.attributes
  const next = isSame ? previous : { nodes: drawn.nodes.list, edges: drawn.edges.list, viewport, attributes, ready }
  sources.set(next, drawn)
  return next
}

function draw<E extends GraphNode | GraphEdge>(
  table: Table<E>,
  inOrder: () => Placed<E>[],
  old: Drawn<E> | undefined,
): Drawn<E> {
  const rows = table.rows.fork()
  if (old?.shape === table.shape) return { ...old, list: redrawn(table, old), rows }
  const ordered = inOrder()
  const before = new Map<string, E>()
  if (old !== undefined) for (const entity of old.list) before.set(entity.id, entity)
  const index = new Map<number, number>()
  const list = ordered.map((row, at) => {
    index.set(row.slot, at)
    return keep(row, before.get(row.entity.id))
  })
  const isSame = old?.list.length === list.length && list.every((entity, at) => entity === old.list[at])
  return { list: isSame ? (old as Drawn<E>).list : list, index, rows, shape: table.shape }
}

/** The list of a table in which the same entities are in the same order. */
function redrawn<E extends GraphNode | GraphEdge>(table: Table<E>, old: Drawn<E>): readonly E[] {
  let list: E[] | undefined
  table.rows.differences(old.rows, (row) => {
    const at = row && old.index.get(row.slot)
    if (row === undefined || at === undefined) return
    const shown = old.list[at] as E
    const entity = keep(row, shown)
    if (entity === shown) return
    list ??= old.list.slice()
    list[at] = entity
  })
  return list ?? old.list
}

/** The entity of a row, as the object that was shown if that is equal. The row then holds that object too. */
function keep<E extends GraphNode | GraphEdge>(row: Placed<E>, shown: E | undefined): E {
  if (shown !== undefined && row.entity !== shown) {
    row.entity = share(shown as unknown as Json, row.entity as unknown as Json) as unknown as E
  }
  return row.entity
}
