/** Where nodes are and how large: the same for the canvas, the overview and the minimap. Pure. */
import type { GraphEdge, GraphNode } from '@dao-api/client'
import { isObject } from '../../shared/is_object.ts'

export interface Box {
  readonly id: string
  /** Absolute, in the flow's coordinates. */
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  /** Whether other nodes are inside it. */
  readonly isGroup: boolean
}

export interface Rect {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const WIDTH = 180
const HEIGHT = 52
const GROUP_WIDTH = 320
const GROUP_HEIGHT = 220
const DEPTH_MAX = 64

/** Sizes that the graph says itself, else ours. Whole numbers, so that the browser measures the same. */
export function sizeOf(node: GraphNode, isGroup: boolean): { width: number; height: number } {
  const style = isObject(node.style) ? node.style : {}
  const measured = isObject(node.measured) ? node.measured : {}
  const width = numberOf(node.width) ?? numberOf(style.width) ?? numberOf(measured.width)
  const height = numberOf(node.height) ?? numberOf(style.height) ?? numberOf(measured.height)
  return {
    width: Math.round(Math.max(24, width ?? (isGroup ? GROUP_WIDTH : WIDTH))),
    height: Math.round(Math.max(24, height ?? (isGroup ? GROUP_HEIGHT : HEIGHT))),
  }
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value === 'string' && /^\d+(\.\d+)?(px)?$/.test(value)) return Number.parseFloat(value)
  return undefined
}

/** React Flow 11 called it `parentNode` (G4). */
export function parentOf(node: GraphNode): string | undefined {
  const parent = node.parentId ?? node.parentNode
  return typeof parent === 'string' ? parent : undefined
}

/** All boxes, in drawing order: what is inside a node comes after it. */
export function boxesOf(nodes: readonly GraphNode[]): Map<string, Box> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const groups = new Set<string>()
  for (const node of nodes) {
    const parent = parentOf(node)
    if (parent !== undefined) groups.add(parent)
  }
  const boxes = new Map<string, Box>()
  for (const node of nodes) {
    let { x, y } = node.position
    let parent = parentOf(node)
    for (let depth = 0; parent !== undefined && depth < DEPTH_MAX; depth++) {
      const known = boxes.get(parent)
      if (known !== undefined) {
        x += known.x
        y += known.y
        break
      }
      const above = byId.get(parent)
      if (above === undefined) break
      x += above.position.x
      y += above.position.y
      parent = parentOf(above)
    }
    const isGroup = groups.has(node.id) || node.type === 'group'
    boxes.set(node.id, { id: node.id, x, y, ...sizeOf(node, isGroup), isGroup })
  }
  return boxes
}

export function boundsOf(boxes: Iterable<Rect>): Rect | null {
  let [left, top, right, bottom] = [
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ]
  for (const { x, y, width, height } of boxes) {
    left = Math.min(left, x)
    top = Math.min(top, y)
    right = Math.max(right, x + width)
    bottom = Math.max(bottom, y + height)
  }
  return left === Number.POSITIVE_INFINITY ? null : { x: left, y: top, width: right - left, height: bottom - top }
}

export interface View {
  readonly x: number
  readonly y: number
  readonly zoom: number
}

export const ZOOM_MIN = 0.004
export const ZOOM_MAX = 2

/** The view that shows all of the bounds, with a margin. */
export function viewOf(bounds: Rect | null, width: number, height: number, zoomMax = 1): View {
  if (bounds === null || width <= 0 || height <= 0) return { x: width / 2, y: height / 2, zoom: 1 }
  const margin = 0.06
  const across = (width * (1 - margin)) / Math.max(1, bounds.width)
  const down = (height * (1 - margin)) / Math.max(1, bounds.height)
  const zoom = Math.min(zoomMax, across, down)
  return {
    x: width / 2 - (bounds.x + bounds.width / 2) * zoom,
    y: height / 2 - (bounds.y + bounds.height / 2) * zoom,
    zoom,
  }
}

/** Whether edges run rather from left to right than from top to bottom. */
export function runsAcross(edges: readonly GraphEdge[], boxes: ReadonlyMap<string, Box>): boolean {
  let [across, down] = [0, 0]
  for (const { source, target } of edges.slice(0, 2_000)) {
    const [a, b] = [boxes.get(source), boxes.get(target)]
    if (a === undefined || b === undefined) continue
    across += Math.abs(b.x - a.x) > Math.abs(b.y - a.y) ? 1 : 0
    down += Math.abs(b.x - a.x) > Math.abs(b.y - a.y) ? 0 : 1
  }
  return across >= down
}

/** The topmost box at a point; groups only where nothing is inside. */
export function boxAt(boxes: ReadonlyMap<string, Box>, x: number, y: number, slack = 0): Box | null {
  let found: Box | null = null
  for (const box of boxes.values()) {
    const isIn =
      x >= box.x - slack && x <= box.x + box.width + slack && y >= box.y - slack && y <= box.y + box.height + slack
    if (isIn && (found === null || !box.isGroup || found.isGroup)) found = box
  }
  return found
}
