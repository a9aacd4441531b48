/** From edits to commands: the fewest that say it, in an order in which each finds what it needs. */
import type {
  BatchOptions,
  CommandOptions,
  Graph,
  GraphEdge,
  GraphNode,
  JsonObject,
  Position,
  Sent,
  Writes,
} from '@dao-api/client'
import { type Edits, edited } from './edits.ts'
import { equal, type Fields, fitsPatch, type Leaf, read, toPatch } from './leaves.ts'
import { parentsFirst, withDescendants } from './order.ts'

export type Step =
  | { readonly do: 'createNode'; readonly node: GraphNode }
  | { readonly do: 'updateNode'; readonly id: string; readonly patch: JsonObject }
  | { readonly do: 'replaceNode'; readonly node: GraphNode }
  | { readonly do: 'moveNode'; readonly id: string; readonly position: Position }
  | { readonly do: 'createEdge'; readonly edge: GraphEdge }
  | { readonly do: 'updateEdge'; readonly id: string; readonly patch: JsonObject }
  | { readonly do: 'deleteEdge'; readonly id: string }
  | { readonly do: 'deleteNode'; readonly id: string }

/** The part of a graph that a plan is made over. */
export interface Ground {
  readonly nodes: readonly GraphNode[]
  node(id: string): GraphNode | undefined
  edge(id: string): GraphEdge | undefined
}

/** Writes that change what stands there. */
const changing = (entity: Fields, leaves: readonly Leaf[]): Leaf[] =>
  leaves.filter((leaf) => !equal(read(entity, leaf.path), leaf.value))

/**
 * The steps of one gesture: new nodes (parents first), changed nodes, new and changed edges, then what is deleted.
 * `DELETE_NODE` takes descendants and edges with it, so they are not listed.
 */
export function plan(nodes: Edits, edges: Edits, ground: Ground): Step[] {
  const created: GraphNode[] = []
  const steps: Step[] = []
  const removed: string[] = []
  for (const [id, edit] of nodes.byId) {
    const node = ground.node(id)
    if (edit.kind === 'create') created.push({ ...edit.entity, id } as GraphNode)
    else if (node === undefined) continue
    else if (edit.kind === 'remove') removed.push(id)
    else steps.push(...nodeSteps(node, changing(node, edit.leaves)))
  }
  const gone = goneWith(removed, nodes, ground)
  const cut: Step[] = []
  for (const [id, edit] of edges.byId) {
    const edge = ground.edge(id)
    if (edit.kind === 'create') steps.push({ do: 'createEdge', edge: { ...edit.entity, id } as GraphEdge })
    else if (edge === undefined || gone.has(edge.source) || gone.has(edge.target)) continue
    else if (edit.kind === 'remove') cut.push({ do: 'deleteEdge', id })
    else {
      const leaves = changing(edge, edit.leaves)
      if (leaves.length > 0) steps.push({ do: 'updateEdge', id, patch: toPatch(leaves) })
    }
  }
  const roots = removed.filter((id) => !isInside(id, removed, nodes, ground))
  return [
    ...parentsFirst(created).map((node): Step => ({ do: 'createNode', node })),
    ...steps,
    ...cut,
    ...roots.map((id): Step => ({ do: 'deleteNode', id })),
  ]
}

/**
 * A position is a command of its own, because the last writer of a position wins, while a patch that holds one would be
 * refused as soon as somebody else moved the node.
 */
function nodeSteps(node: GraphNode, leaves: readonly Leaf[]): Step[] {
  const isMove = (leaf: Leaf): boolean => leaf.path[0] === 'position'
  const moves = leaves.filter(isMove)
  const fields = leaves.filter((leaf) => !isMove(leaf))
  const steps: Step[] = []
  if (fields.length > 0) {
    steps.push(
      fitsPatch(fields)
        ? { do: 'updateNode', id: node.id, patch: toPatch(fields) }
        : { do: 'replaceNode', node: edited(node, { kind: 'write', leaves: fields }) as GraphNode },
    )
  }
  if (moves.length > 0) {
    const { position } = edited(node, { kind: 'write', leaves: moves }) as GraphNode
    steps.push({ do: 'moveNode', id: node.id, position: { x: position.x, y: position.y } })
  }
  return steps
}

/** Where a node is after the edits. */
function parentOf(id: string, nodes: Edits, ground: Ground): string | undefined {
  const node = ground.node(id)
  const after = edited(node ?? {}, nodes.byId.get(id)) ?? node
  return typeof after?.parentId === 'string' ? after.parentId : undefined
}

/** Everything that is deleted with `removed`, judged by where nodes are after the edits. */
export function goneWith(removed: readonly string[], nodes: Edits, ground: Ground): Set<string> {
  if (removed.length === 0) return new Set()
  return withDescendants(
    removed,
    ground.nodes.map(({ id }) => {
      const parentId = parentOf(id, nodes, ground)
      return parentId === undefined ? { id } : { id, parentId }
    }),
  )
}

function isInside(id: string, removed: readonly string[], nodes: Edits, ground: Ground): boolean {
  const among = new Set(removed)
  const seen = new Set([id])
  for (let at = parentOf(id, nodes, ground); at !== undefined && !seen.has(at); at = parentOf(at, nodes, ground)) {
    if (among.has(at)) return true
    seen.add(at)
  }
  return false
}

function run<R>(step: Step, on: Writes<R>, options?: CommandOptions): R {
  switch (step.do) {
    case 'createNode':
      return on.createNode(step.node, options)
    case 'updateNode':
      return on.updateNode(step.id, step.patch, options)
    case 'replaceNode':
      return on.replaceNodes([step.node], options)
    case 'moveNode':
      return on.moveNode(step.id, step.position, options)
    case 'createEdge':
      return on.createEdge(step.edge, options)
    case 'updateEdge':
      return on.updateEdge(step.id, step.patch, options)
    case 'deleteEdge':
      return on.deleteEdge(step.id, options)
    case 'deleteNode':
      return on.deleteNode(step.id, options)
  }
}

/**
 * Sends the steps as one commit; `null` if there is nothing to do. In a batch, and when deleting, what is gone by then
 * is left out. A single edit of something that is gone is refused, so that its author learns of it.
 */
export function send(steps: readonly Step[], graph: Graph, options: BatchOptions = {}): Sent | null {
  const [only, ...more] = steps
  if (only === undefined) return null
  const label = options.label ?? labelOf(steps)
  if (more.length === 0 && only.do !== 'deleteNode' && only.do !== 'deleteEdge') {
    return run(only, graph, { ...options, label })
  }
  return graph.batch(
    label,
    (batch) => {
      for (const step of steps) run(step, batch)
    },
    { ifMissing: 'skip', ...options, label },
  )
}

/** What a gesture is called in an undo menu. */
export function labelOf(steps: readonly Step[]): string {
  const of = (...kinds: Step['do'][]): number => steps.filter((step) => kinds.includes(step.do)).length
  const count = (n: number, verb: string, noun: string): string => `${verb} ${n === 1 ? noun : `${n} ${noun}s`}`
  const [nodes, edges] = [of('createNode'), of('createEdge')]
  if (nodes > 0) return count(nodes, 'Add', 'node')
  if (of('deleteNode') > 0) return count(of('deleteNode'), 'Delete', 'node')
  if (of('deleteEdge') > 0) return count(of('deleteEdge'), 'Delete', 'edge')
  if (edges > 0) return count(edges, 'Add', 'edge')
  if (steps.some((step) => step.do === 'updateNode' && 'parentId' in step.patch)) return 'Change group'
  if (steps.some((step) => step.do === 'updateNode' && ('width' in step.patch || 'height' in step.patch)))
    return 'Resize'
  if (of('moveNode') > 0 && of('updateNode', 'replaceNode') === 0) return count(of('moveNode'), 'Move', 'node')
  if (steps.some((step) => step.do === 'updateEdge' && ('source' in step.patch || 'target' in step.patch)))
    return 'Reconnect'
  return count(
    Math.max(1, of('updateNode', 'replaceNode', 'updateEdge')),
    'Edit',
    of('updateEdge') > 0 ? 'edge' : 'node',
  )
}
