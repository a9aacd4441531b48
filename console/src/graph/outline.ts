/** The outline: nodes as a tree by parents, each with its edges; the canvas as a table (K8). Pure. */
import type { GraphEdge, GraphNode, GraphSnapshot } from '@dao-api/client'
import { edgeLabel } from './canvas/elements.ts'
import { parentOf } from './canvas/geometry.ts'
import { labelOf } from './text.ts'

export interface OutlineRow {
  readonly key: string
  readonly kind: 'node' | 'edge'
  readonly id: string
  /** 1 is the outermost. */
  readonly level: number
  readonly label: string
  readonly type: string
  readonly detail: string
  /** Whether there is something below it. */
  readonly hasChildren: boolean
  readonly isExpanded: boolean
}

/** `expanded` holds keys of nodes that are open. With a `filter`, what fits is listed flat. */
export function outline(snapshot: GraphSnapshot, expanded: ReadonlySet<string>, filter = ''): OutlineRow[] {
  const byId = new Map(snapshot.nodes.map((node) => [node.id, node]))
  const names = (id: string): string => {
    const node = byId.get(id)
    return node === undefined ? id : labelOf(node)
  }
  const inside = new Map<string | undefined, GraphNode[]>()
  for (const node of snapshot.nodes) {
    const parent = parentOf(node)
    const key = parent !== undefined && byId.has(parent) ? parent : undefined
    inside.set(key, [...(inside.get(key) ?? []), node])
  }
  const from = new Map<string, GraphEdge[]>()
  const counts = new Map<string, number>()
  for (const edge of snapshot.edges) {
    const list = from.get(edge.source)
    if (list === undefined) from.set(edge.source, [edge])
    else list.push(edge)
    counts.set(edge.target, (counts.get(edge.target) ?? 0) + 1)
  }
  const nodeRow = (node: GraphNode, level: number): OutlineRow => {
    const [out, into, within] = [
      from.get(node.id)?.length ?? 0,
      counts.get(node.id) ?? 0,
      inside.get(node.id)?.length ?? 0,
    ]
    const parts = [within > 0 ? `${within} inside` : '', `${into} in`, `${out} out`]
    return {
      key: `node ${node.id}`,
      kind: 'node',
      id: node.id,
      level,
      label: labelOf(node),
      type: node.type ?? '',
      detail: parts.filter((part) => part !== '').join(', '),
      hasChildren: out + within > 0,
      isExpanded: expanded.has(`node ${node.id}`),
    }
  }
  const edgeRow = (edge: GraphEdge, level: number): OutlineRow => ({
    key: `edge ${edge.id}`,
    kind: 'edge',
    id: edge.id,
    level,
    label: `→ ${names(edge.target)}`,
    type: edgeLabel(edge) ?? 'edge',
    detail: `from ${names(edge.source)}`,
    hasChildren: false,
    isExpanded: false,
  })
  const wanted = filter.trim().toLowerCase()
  if (wanted !== '') {
    const fits = (row: OutlineRow): boolean => `${row.label} ${row.id} ${row.type}`.toLowerCase().includes(wanted)
    const flat = { hasChildren: false, isExpanded: false }
    return [
      ...snapshot.nodes.map((node) => ({ ...nodeRow(node, 1), ...flat })),
      ...snapshot.edges.map((edge) => ({
        ...edgeRow(edge, 1),
        label: `${names(edge.source)} → ${names(edge.target)}`,
      })),
    ].filter(fits)
  }
  const rows: OutlineRow[] = []
  const seen = new Set<string>()
  const walk = (node: GraphNode, level: number): void => {
    if (seen.has(node.id)) return
    seen.add(node.id)
    const row = nodeRow(node, level)
    rows.push(row)
    if (!row.isExpanded) return
    for (const child of inside.get(node.id) ?? []) walk(child, level + 1)
    for (const edge of from.get(node.id) ?? []) rows.push(edgeRow(edge, level + 1))
  }
  for (const node of inside.get(undefined) ?? []) walk(node, 1)
  return rows
}
