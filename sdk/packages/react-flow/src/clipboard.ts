/** Copy and paste of a part of a graph, as JSON that survives the system's clipboard. */
import type { GraphEdge, GraphNode, Position } from '@dao-api/client'
import { type Fields, isPlain, read } from './leaves.ts'
import { parentsFirst } from './order.ts'

export interface Clip {
  readonly kind: 'dao-api/clip'
  /** Nodes, parents first. A node whose parent was not copied has its absolute position and no parent. */
  readonly nodes: readonly GraphNode[]
  /** The edges among the nodes. */
  readonly edges: readonly GraphEdge[]
}

/** Where a node is in the flow, whatever it is inside of. */
export function absolute(node: GraphNode, find: (id: string) => GraphNode | undefined): Position {
  let { x, y } = node.position
  const seen = new Set([node.id])
  for (let at = node.parentId ? find(node.parentId) : undefined; at && !seen.has(at.id); ) {
    seen.add(at.id)
    x += at.position.x
    y += at.position.y
    at = at.parentId ? find(at.parentId) : undefined
  }
  return { x, y }
}

/** The nodes of `ids` with everything inside them, and the edges among them. */
export function clip(ids: ReadonlySet<string>, nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Clip {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const find = (id: string): GraphNode | undefined => byId.get(id)
  return {
    kind: 'dao-api/clip',
    nodes: nodes
      .filter((node) => ids.has(node.id))
      .map((node) => {
        if (node.parentId === undefined || ids.has(node.parentId)) return node
        const { parentId: _, extent: __, expandParent: ___, ...free } = node
        return { ...free, position: absolute(node, find) } as GraphNode
      }),
    edges: edges.filter((edge) => ids.has(edge.source) && ids.has(edge.target)),
  }
}

const isListOf = (list: unknown, has: (item: Fields) => boolean): boolean =>
  Array.isArray(list) && list.every((item) => isPlain(item) && has(item))
const isText = (...values: unknown[]): boolean => values.every((value) => typeof value === 'string')
const isNumber = (...values: unknown[]): boolean => values.every(Number.isFinite)

/** Reads what came from the clipboard; `null` if it is something else. */
export function readClip(text: string): Clip | null {
  try {
    const value: unknown = JSON.parse(text)
    const isClip =
      isPlain(value) &&
      value.kind === 'dao-api/clip' &&
      isListOf(
        value.nodes,
        ({ id, position }) => isText(id) && isNumber(read(position, ['x']), read(position, ['y'])),
      ) &&
      isListOf(value.edges, ({ id, source, target }) => isText(id, source, target))
    return isClip ? (value as unknown as Clip) : null
  } catch {
    return null
  }
}

/**
 * The same part under new ids. `at` is where the upper left corner comes to lie, in the flow's coordinates; without it
 * everything moves by (24, 24), so that the copy does not hide the original.
 */
export function renewed(
  from: Clip,
  at: Position | undefined,
  newId: () => string,
): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const ids = new Map(from.nodes.map((node) => [node.id, newId()]))
  const roots = from.nodes.filter((node) => node.parentId === undefined || !ids.has(node.parentId))
  const left = Math.min(...roots.map((node) => node.position.x))
  const top = Math.min(...roots.map((node) => node.position.y))
  const [dx, dy] = at === undefined ? [24, 24] : [at.x - left, at.y - top]
  const nodes = from.nodes.map((node) => {
    const { parentId, position, ...rest } = node
    const parent = parentId === undefined ? undefined : ids.get(parentId)
    return {
      ...rest,
      id: ids.get(node.id)!,
      position: parent === undefined ? { x: position.x + dx, y: position.y + dy } : position,
      ...(parent !== undefined && { parentId: parent }),
    } as GraphNode
  })
  const edges = from.edges.flatMap((edge) => {
    const [source, target] = [ids.get(edge.source), ids.get(edge.target)]
    return source === undefined || target === undefined ? [] : [{ ...edge, id: newId(), source, target }]
  })
  return { nodes: [...parentsFirst(nodes)], edges }
}
