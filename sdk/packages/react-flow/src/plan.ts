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
import { type Edits, edited, type Layer } from './edits.ts'
import { equal, type Fields, fitsPatch, type Leaf, read, toPatch } from './leaves.ts'
import { parentsFirst, withDescendants } from './order.ts'

/** A write by its name in {@link Writes}, and what it is given. */
export type Step =
  | readonly ['createNode', GraphNode]
  | readonly ['updateNode', string, JsonObject]
  | readonly ['replaceNodes', readonly GraphNode[]]
  | readonly ['moveNode', string, Position]
  | readonly ['createEdge', GraphEdge]
  | readonly ['updateEdge', string, JsonObject]
  | readonly ['deleteEdge', string]
  | readonly ['deleteNode', string]

/** The part of a graph that a plan is made over. */
export interface Ground {
  readonly nodes: readonly GraphNode[]
  node(id: string): GraphNode | undefined
  edge(id: string): GraphEdge | undefined
}

/** Writes that change what stands there: all of them where nothing does. The server says what became of the entity. */
const changing = (entity: Fields | undefined, leaves: readonly Leaf[]): readonly Leaf[] =>
  entity === undefined ? leaves : leaves.filter((leaf) => !equal(read(entity, leaf.path), leaf.value))

/**
 * The steps of one gesture: new nodes (parents first), changed nodes, new and changed edges, then what is deleted.
 * `DELETE_NODE` takes descendants and edges with it, so they are not listed. Writes of what is gone are left out, except
 * one that is the whole gesture: it is sent, and refused.
 */
export function plan({ node: nodes, edge: edges }: Layer, ground: Ground): Step[] {
  const created: GraphNode[] = []
  const steps: Step[] = []
  const lost: Step[] = []
  const removed: string[] = []
  for (const [id, edit] of nodes.byId) {
    const node = ground.node(id)
    if (edit.kind === 'create') created.push({ ...edit.entity, id } as GraphNode)
    else if (edit.kind === 'write') (node === undefined ? lost : steps).push(...nodeSteps(id, node, edit.leaves))
    else if (node !== undefined) removed.push(id)
  }
  const gone = goneWith(removed, nodes, ground)
  const cut: Step[] = []
  for (const [id, edit] of edges.byId) {
    const edge = ground.edge(id)
    if (edit.kind === 'create') steps.push(['createEdge', { ...edit.entity, id } as GraphEdge])
    else if (edge !== undefined && (gone.has(edge.source) || gone.has(edge.target))) continue
    else if (edit.kind === 'write') {
      const leaves = changing(edge, edit.leaves)
      if (leaves.length > 0) (edge === undefined ? lost : steps).push(['updateEdge', id, toPatch(leaves)])
    } else if (edge !== undefined) cut.push(['deleteEdge', id])
  }
  const roots = removed.filter((id) => !isInside(id, removed, nodes, ground))
  const all = [
    ...parentsFirst(created).map((node): Step => ['createNode', node]),
    ...steps,
    ...cut,
    ...roots.map((id): Step => ['deleteNode', id]),
  ]
  return all.length === 0 && lost.length === 1 ? lost : all
}

/**
 * A position is a command of its own, because the last writer of a position wins, while a patch that holds one would be
 * refused as soon as somebody else moved the node.
 */
function nodeSteps(id: string, node: GraphNode | undefined, edits: readonly Leaf[]): Step[] {
  const leaves = changing(node, edits)
  const isMove = (leaf: Leaf): boolean => leaf.path[0] === 'position'
  const moves = leaves.filter(isMove)
  const fields = leaves.filter((leaf) => !isMove(leaf))
  const steps: Step[] = []
  if (fields.length > 0) {
    // What is gone is not replaced: that would make it again.
    steps.push(
      node === undefined || fitsPatch(fields)
        ? ['updateNode', id, toPatch(fields)]
        : ['replaceNodes', [edited(node, { kind: 'write', leaves: fields }) as GraphNode]],
    )
  }
  if (moves.length > 0) {
    const { position } = edited(node ?? { position: { x: 0, y: 0 } }, { kind: 'write', leaves: moves }) as GraphNode
    steps.push(['moveNode', id, { x: position.x, y: position.y }])
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

/** The names and arguments of steps are those of {@link Writes}. */
function run<R>([name, ...given]: Step, on: Writes<R>, ...options: [CommandOptions?]): R {
  return (on[name] as (...all: unknown[]) => R)(...given, ...options)
}

/**
 * Sends the steps as one commit; `null` if there is nothing to do. In a batch, and when deleting, what is gone by then
 * is left out. A single edit of something that is gone is refused, so that its author learns of it.
 */
export function send(steps: readonly Step[], graph: Graph, options: BatchOptions = {}): Sent | null {
  const [only, ...more] = steps
  if (only === undefined) return null
  const label = options.label ?? labelOf(steps)
  if (more.length === 0 && !only[0].startsWith('delete')) {
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

const VERBS = { create: 'Add', delete: 'Delete', move: 'Move', update: 'Edit', replace: 'Edit' }

/** What a gesture is called in an undo menu: the first step says it, and how many there are of its kind. */
function labelOf(steps: readonly Step[]): string {
  const [first] = [...steps].sort((a, b) => rank(a) - rank(b))
  const [, verb, noun] = /^([a-z]+)(Node|Edge)/.exec(first?.[0] ?? '') ?? []
  const patch = first?.[0].startsWith('update') ? first[2] : undefined
  if (patch && 'parentId' in patch) return 'Change group'
  if (patch && 'width' in patch) return 'Resize'
  if (patch && ('source' in patch || 'target' in patch)) return 'Reconnect'
  const n = steps.filter(([name]) => name === first?.[0]).length
  return `${VERBS[verb as keyof typeof VERBS]} ${n === 1 ? '' : `${n} `}${noun?.toLowerCase()}${n === 1 ? '' : 's'}`
}

/** What is new or gone says more than what changed, and nodes more than edges. */
const RANKS = ['createNode', 'deleteNode', 'deleteEdge', 'createEdge', 'updateNode', 'replaceNodes', 'moveNode']
const rank = ([name]: Step): number => RANKS.indexOf(name) >>> 0
