/** The minimap: the whole graph on a small canvas, with the part that is seen. A click or drag goes there. */
import { useReactFlow, useStore } from '@xyflow/react'
import { type PointerEvent, useCallback, useMemo, useRef } from 'react'
import type { Colors } from './colors.ts'
import { draw, type Picture } from './draw.ts'
import { boundsOf, type View, viewOf } from './geometry.ts'
import { Painted } from './painted.tsx'

const WIDTH = 200
const HEIGHT = 132

export function MiniMap({ picture, colors }: { picture: Picture; colors: Colors | null }) {
  const { setCenter, getZoom } = useReactFlow()
  const [x, y, zoom] = useStore((state) => state.transform)
  const width = useStore((state) => state.width)
  const height = useStore((state) => state.height)
  const base = useRef<{ of: Picture; colors: Colors; canvas: OffscreenCanvas } | null>(null)
  const view = useMemo(() => viewOf(boundsOf(picture.boxes.values()), WIDTH, HEIGHT, 0.2), [picture])
  const paint = useCallback(
    (context: CanvasRenderingContext2D) => {
      if (colors === null) return
      const ratio = Math.min(2, devicePixelRatio || 1)
      if (base.current?.of !== picture || base.current.colors !== colors) {
        base.current = { of: picture, colors, canvas: drawn(picture, colors, view, ratio) }
      }
      context.clearRect(0, 0, WIDTH, HEIGHT)
      context.drawImage(base.current.canvas, 0, 0, WIDTH, HEIGHT)
      context.strokeStyle = colors.view
      context.lineWidth = 1.5
      context.strokeRect(
        view.x + (-x / zoom) * view.zoom,
        view.y + (-y / zoom) * view.zoom,
        (width / zoom) * view.zoom,
        (height / zoom) * view.zoom,
      )
    },
    [picture, colors, view, x, y, zoom, width, height],
  )
  const go = (event: PointerEvent<HTMLDivElement>): void => {
    if (event.buttons !== 1) return
    const at = event.currentTarget.getBoundingClientRect()
    event.currentTarget.setPointerCapture(event.pointerId)
    const point = {
      x: (event.clientX - at.left - view.x) / view.zoom,
      y: (event.clientY - at.top - view.y) / view.zoom,
    }
    void setCenter(point.x, point.y, { zoom: getZoom() })
  }
  // Nothing has no bounds: what is seen of it can't be drawn.
  if (picture.boxes.size === 0) return null
  return (
    <div className="gp-minimap" onPointerDown={go} onPointerMove={go}>
      <Painted paint={paint} className="gp-minimap-canvas" />
    </div>
  )
}

function drawn(picture: Picture, colors: Colors, view: View, ratio: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(WIDTH * ratio, HEIGHT * ratio)
  const context = canvas.getContext('2d')!
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  draw(context as unknown as CanvasRenderingContext2D, picture, colors, view, WIDTH, HEIGHT)
  return canvas
}
