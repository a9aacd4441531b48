/** Boxes, edges and diff colours on a 2D canvas (K5): 10,000 nodes in a few milliseconds. */
import type { GraphEdge } from '@dao-api/client'
import type { Mark } from '../compare.ts'
import type { Colors } from './colors.ts'
import type { Box, View } from './geometry.ts'

export interface Picture {
  readonly boxes: ReadonlyMap<string, Box>
  readonly edges: readonly GraphEdge[]
  readonly nodeMarks: ReadonlyMap<string, Mark>
  readonly edgeMarks: ReadonlyMap<string, Mark>
  readonly selected: string | null
}

/** Below it a border would be most of a node. */
const BORDER_ZOOM = 0.1
const MARKS: readonly (Mark | 'none')[] = ['none', 'moved', 'changed', 'added', 'removed']

/** `width` and `height` are those of the canvas in CSS pixels; the context is scaled already. */
export function draw(
  context: CanvasRenderingContext2D,
  picture: Picture,
  colors: Colors,
  view: View,
  width: number,
  height: number,
): void {
  context.clearRect(0, 0, width, height)
  const { zoom } = view
  const left = -view.x / zoom
  const top = -view.y / zoom
  const [right, bottom] = [left + width / zoom, top + height / zoom]
  context.save()
  context.translate(view.x, view.y)
  context.scale(zoom, zoom)
  drawEdges(context, picture, colors, zoom, { left, top, right, bottom })
  drawBoxes(context, picture, colors, zoom, { left, top, right, bottom })
  context.restore()
}

interface Frame {
  left: number
  top: number
  right: number
  bottom: number
}

function drawEdges(
  context: CanvasRenderingContext2D,
  { boxes, edges, edgeMarks, selected }: Picture,
  colors: Colors,
  zoom: number,
  frame: Frame,
): void {
  for (const mark of MARKS) {
    if (mark !== 'none' && edgeMarks.size === 0) continue
    context.beginPath()
    let drawn = false
    for (const edge of edges) {
      if ((edgeMarks.get(edge.id) ?? 'none') !== mark) continue
      const [a, b] = [boxes.get(edge.source), boxes.get(edge.target)]
      if (a === undefined || b === undefined) continue
      const [ax, ay] = [a.x + a.width / 2, a.y + a.height / 2]
      const [bx, by] = [b.x + b.width / 2, b.y + b.height / 2]
      if (Math.max(ax, bx) < frame.left || Math.min(ax, bx) > frame.right) continue
      if (Math.max(ay, by) < frame.top || Math.min(ay, by) > frame.bottom) continue
      context.moveTo(ax, ay)
      context.lineTo(bx, by)
      drawn = true
    }
    if (!drawn) continue
    context.strokeStyle = mark === 'none' ? colors.edge : colors[mark]
    context.lineWidth = (mark === 'none' ? 1 : 2) / zoom
    context.setLineDash(mark === 'removed' ? [6 / zoom, 4 / zoom] : [])
    context.stroke()
  }
  context.setLineDash([])
  const chosen = edges.find(({ id }) => id === selected)
  const [a, b] = [boxes.get(chosen?.source ?? ''), boxes.get(chosen?.target ?? '')]
  if (a === undefined || b === undefined) return
  context.beginPath()
  context.moveTo(a.x + a.width / 2, a.y + a.height / 2)
  context.lineTo(b.x + b.width / 2, b.y + b.height / 2)
  context.strokeStyle = colors.selected
  context.lineWidth = 3 / zoom
  context.stroke()
}

function drawBoxes(
  context: CanvasRenderingContext2D,
  { boxes, nodeMarks, selected }: Picture,
  colors: Colors,
  zoom: number,
  frame: Frame,
): void {
  const isIn = (box: Box): boolean =>
    box.x <= frame.right && box.x + box.width >= frame.left && box.y <= frame.bottom && box.y + box.height >= frame.top
  const groups = new Path2D()
  const plain = new Path2D()
  const marked = new Map<Mark, Path2D>()
  for (const box of boxes.values()) {
    if (!isIn(box)) continue
    const mark = nodeMarks.get(box.id)
    const path = box.isGroup ? groups : plain
    path.rect(box.x, box.y, box.width, box.height)
    if (mark === undefined) continue
    const ring = marked.get(mark) ?? new Path2D()
    ring.rect(box.x, box.y, box.width, box.height)
    marked.set(mark, ring)
  }
  context.lineWidth = 1 / zoom
  context.fillStyle = colors.group
  context.fill(groups)
  context.strokeStyle = colors.line
  context.stroke(groups)
  const isFar = zoom < BORDER_ZOOM
  context.fillStyle = isFar ? colors.far : colors.node
  context.fill(plain)
  if (!isFar) context.stroke(plain)
  for (const [mark, path] of marked) {
    context.fillStyle = colors[mark]
    context.globalAlpha = mark === 'removed' ? 0.35 : 0.55
    context.fill(path)
    context.globalAlpha = 1
    context.strokeStyle = colors[mark]
    context.lineWidth = 2 / zoom
    context.setLineDash(mark === 'removed' ? [5 / zoom, 4 / zoom] : mark === 'moved' ? [2 / zoom, 3 / zoom] : [])
    context.stroke(path)
    context.setLineDash([])
  }
  const box = boxes.get(selected ?? '')
  if (box === undefined) return
  const slack = 4 / zoom
  context.strokeStyle = colors.selected
  context.lineWidth = 3 / zoom
  context.strokeRect(box.x - slack, box.y - slack, box.width + 2 * slack, box.height + 2 * slack)
}
