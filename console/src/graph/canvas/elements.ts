/**
 * What React Flow gets. An entity that did not change gives the same object again, so that React Flow does not render it
 * again. Names of handles are left out: a plain node has one on each side.
 */
import type { GraphEdge, GraphNode } from '@dao-api/client'
import { type Edge, MarkerType, type Node, Position } from '@xyflow/react'
import { isObject } from '../../shared/is_object.ts'
import { type Mark, SIGNS } from '../compare.ts'
import { cut, labelOf } from '../text.ts'
import { type Box, parentOf } from './geometry.ts'
import type { PlainData } from './plain_node.tsx'

export type PlainNodeType = Node<PlainData, 'plain'>

interface Look {
  readonly mark: Mark | null
  readonly isChosen: boolean
  readonly isAcross: boolean
  readonly isEditable: boolean
  readonly box: Box
}

const nodes = new WeakMap<GraphNode, { look: Look; node: PlainNodeType }>()
const edges = new WeakMap<GraphEdge, { key: string; edge: Edge }>()

export function nodeElement(of: GraphNode, look: Look, hasParent: boolean): PlainNodeType {
  const kept = nodes.get(of)
  if (kept !== undefined && isSame(kept.look, look)) return kept.node
  const { mark, isChosen, isAcross, isEditable, box } = look
  const { width, height } = box
  const node: PlainNodeType = {
    id: of.id,
    type: 'plain',
    position: of.position,
    width,
    height,
    measured: { width, height },
    handles: handlesOf(width, height, isAcross),
    draggable: isEditable,
    connectable: false,
    zIndex: box.isGroup ? 0 : 2,
    data: {
      label: labelOf(of),
      type: of.type ?? '',
      isGroup: box.isGroup,
      isAcross,
      mark,
      isChosen,
      isGhost: mark === 'removed',
    },
  }
  const parent = parentOf(of)
  if (hasParent && parent !== undefined) node.parentId = parent
  const { selected, dragging } = of as unknown as { selected?: boolean; dragging?: boolean }
  if (selected !== undefined) node.selected = selected
  if (dragging !== undefined) node.dragging = dragging
  nodes.set(of, { look, node })
  return node
}

function isSame(a: Look, b: Look): boolean {
  return (
    a.mark === b.mark &&
    a.isChosen === b.isChosen &&
    a.isAcross === b.isAcross &&
    a.isEditable === b.isEditable &&
    a.box.width === b.box.width &&
    a.box.height === b.box.height &&
    a.box.isGroup === b.box.isGroup
  )
}

function handlesOf(width: number, height: number, isAcross: boolean): NonNullable<PlainNodeType['handles']> {
  const [left, top] = [Position.Left, Position.Top]
  const [right, bottom] = [Position.Right, Position.Bottom]
  return isAcross
    ? [
        { type: 'target', position: left, x: 0, y: height / 2, width: 0, height: 0 },
        { type: 'source', position: right, x: width, y: height / 2, width: 0, height: 0 },
      ]
    : [
        { type: 'target', position: top, x: width / 2, y: 0, width: 0, height: 0 },
        { type: 'source', position: bottom, x: width / 2, y: height, width: 0, height: 0 },
      ]
}

export function edgeElement(of: GraphEdge, mark: Mark | null, isChosen: boolean): Edge {
  const key = `${mark} ${isChosen}`
  const kept = edges.get(of)
  if (kept?.key === key) return kept.edge
  const name = edgeLabel(of)
  const label = mark === null ? name : `${SIGNS[mark]} ${name ?? mark}`
  const edge: Edge = {
    id: of.id,
    source: of.source,
    target: of.target,
    className: `gp-edge ${isChosen ? 'gp-chosen' : ''} ${mark === null ? '' : `gp-${mark}`}`,
    focusable: false,
    selectable: false,
    // Labels are above nodes, so that they can be read; lines without one are below.
    zIndex: label === undefined ? 1 : 3,
    markerEnd: { type: MarkerType.ArrowClosed, width: 16, height: 16, color: `var(--${mark ?? 'canvas-edge'})` },
    ...(label === undefined ? {} : { label }),
  }
  edges.set(of, { key, edge })
  return edge
}

export function edgeLabel(edge: GraphEdge): string | undefined {
  const label = edge.label ?? (isObject(edge.data) ? edge.data.label : undefined)
  return typeof label === 'string' && label !== '' ? cut(label, 40) : undefined
}
