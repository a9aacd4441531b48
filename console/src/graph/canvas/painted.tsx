/** A <canvas> of the size of its place, sharp on every screen, painted at most once a frame. */
import { useEffect, useRef, useState } from 'react'

export type Paint = (context: CanvasRenderingContext2D, width: number, height: number) => void

/** `paint` is called when it is another function, and when the size changes. Decoration: other programs read the outline. */
export function Painted({
  paint,
  className,
  onElement,
}: {
  paint: Paint
  className: string
  onElement?: (element: HTMLCanvasElement | null) => void
}) {
  const ref = useRef<HTMLCanvasElement>(null)
  const [size, setSize] = useState({ width: 0, height: 0 })
  useEffect(() => {
    const element = ref.current
    if (element === null) return
    onElement?.(element)
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      onElement?.(null)
    }
  }, [onElement])
  useEffect(() => {
    const frame = requestAnimationFrame(() => {
      const element = ref.current
      const context = element?.getContext('2d')
      if (!element || !context || size.width === 0 || size.height === 0) return
      const ratio = Math.min(2, devicePixelRatio || 1)
      const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)]
      if (element.width !== width) element.width = width
      if (element.height !== height) element.height = height
      context.setTransform(ratio, 0, 0, ratio, 0, 0)
      paint(context, size.width, size.height)
      element.dataset.painted = ''
    })
    return () => cancelAnimationFrame(frame)
  }, [paint, size])
  // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a canvas takes no focus
  return <canvas ref={ref} className={className} aria-hidden="true" />
}
