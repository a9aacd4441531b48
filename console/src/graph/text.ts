/** Short texts for nodes, edges and values. Pure; all of it ends up in text nodes. */
import type { GraphEdge, GraphNode, GraphSnapshot } from '@dao-api/client'
import { isObject } from '../shared/is_object.ts'

/** A node or edge as the server or the fold has it. */
export type Entity = GraphNode | GraphEdge | { readonly id: string; readonly [field: string]: unknown }

const LABEL_MAX = 80

/** What a person would call it: its label, name or title, else its id. */
export function labelOf(entity: Entity): string {
  const data = entity['data' as keyof Entity] as unknown
  const fields: readonly unknown[] = [
    isObject(data) ? data.label : undefined,
    isObject(data) ? data.name : undefined,
    isObject(data) ? data.title : undefined,
    (entity as Record<string, unknown>).label,
  ]
  const found = fields.find((field) => typeof field === 'string' && field.trim() !== '')
  return typeof found === 'string' ? cut(found.trim(), LABEL_MAX) : entity.id
}

/** Names by id, those of later pictures first; an edge without a label is called by its ends. */
export function namesOf(pictures: readonly Pick<GraphSnapshot, 'nodes' | 'edges'>[]): Map<string, string> {
  const names = new Map<string, string>()
  for (const { nodes } of pictures) for (const node of nodes) names.set(node.id, labelOf(node))
  const isNode = new Set(names.keys())
  for (const { edges } of pictures) {
    for (const edge of edges) {
      if (isNode.has(edge.id)) continue
      const label = labelOf(edge)
      const ends = [edge.source, edge.target].map((end) => cut(names.get(end) ?? end, 30)).join(' → ')
      names.set(edge.id, label === edge.id ? ends : label)
    }
  }
  return names
}

export function cut(text: string, max: number): string {
  const letters = Array.from(text)
  return letters.length <= max ? text : `${letters.slice(0, max - 1).join('')}…`
}

/** A value in one line. An absent one is an em dash. */
export function shortValue(value: unknown, max = 60): string {
  if (value === undefined || value === null) return '–'
  if (typeof value === 'string') return `"${cut(value, max)}"`
  if (isPoint(value)) return `${round(value.x)}, ${round(value.y)}`
  return cut(JSON.stringify(value) ?? '–', max)
}

function isPoint(value: unknown): value is { x: number; y: number } {
  return (
    isObject(value) && typeof value.x === 'number' && typeof value.y === 'number' && Object.keys(value).length === 2
  )
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

/** A version as the console writes it: v1,470. */
export function v(version: number): string {
  return `v${version.toLocaleString('en')}`
}
