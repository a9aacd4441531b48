/**
 * The rows of a long table: only those that are seen are in the document (K3). It is a real table; rows that are not there are
 * two empty ones of their height. All rows have one height.
 */
import { useVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, type RefObject, useLayoutEffect, useRef, useState } from 'react'

const AHEAD = 8

interface Props<T> {
  items: readonly T[]
  idOf: (item: T) => string
  /** Pixels. */
  height: number
  /** What scrolls: the page. */
  scroller: RefObject<HTMLElement | null>
  /** Called when the end is near: load more. */
  onEnd: () => void
  /** Gets the index for `aria-rowindex`: the head is row 1. */
  row: (item: T, rowIndex: number) => ReactNode
}

export function VirtualRows<T>({ items, idOf, height, scroller, onEnd, row }: Props<T>) {
  const body = useRef<HTMLTableSectionElement>(null)
  const [margin, setMargin] = useState(0)
  useLayoutEffect(() => {
    // A list that was hidden by Suspense is shown again before its page has its ref back.
    const page = scroller.current ?? body.current?.closest('main')
    if (!page || !body.current) return
    setMargin(body.current.getBoundingClientRect().top - page.getBoundingClientRect().top + page.scrollTop)
  }, [scroller])
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: AHEAD,
    scrollMargin: margin,
    getItemKey: (index) => idOf(items[index]!),
  })
  const seen = virtual.getVirtualItems()
  const last = seen.at(-1)?.index ?? -1
  useLayoutEffect(() => {
    if (last >= items.length - AHEAD) onEnd()
  }, [last, items.length, onEnd])
  const above = (seen[0]?.start ?? margin) - margin
  const below = virtual.getTotalSize() - ((seen.at(-1)?.end ?? margin) - margin)
  return (
    <tbody ref={body}>
      {above > 0 && <Gap height={above} />}
      {seen.map(({ index }) => row(items[index]!, index + 2))}
      {below > 0 && <Gap height={below} />}
    </tbody>
  )
}

function Gap({ height }: { height: number }) {
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row is not focusable
    <tr aria-hidden="true" className="gap">
      <td style={{ height }} />
    </tr>
  )
}
