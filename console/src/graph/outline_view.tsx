// biome-ignore-all lint/a11y/useFocusableInteractive: the row has the focus, not its cells
// biome-ignore-all lint/a11y/useSemanticElements: a virtual tree table has no elements of its own
/** The outline as a tree table: everything the canvas shows, by keyboard and for screen readers (K8). */
import type { GraphSnapshot } from '@dao-api/client'
import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react'
import { count } from '../shared/format.ts'
import { Empty } from '../shared/ui.tsx'
import { type OutlineRow, outline } from './outline.ts'
import type { Placed } from './place.ts'

const ROW = 32
const PAGE = 20

export function OutlineView({ snapshot, placed }: { snapshot: GraphSnapshot; placed: Placed }) {
  const [expanded, setExpanded] = useState<ReadonlySet<string>>(new Set())
  const [filter, setFilter] = useState('')
  const rows = useMemo(() => outline(snapshot, expanded, filter), [snapshot, expanded, filter])
  const { chosen } = placed.place
  const chosenKey = chosen === null ? null : `${chosen.kind} ${chosen.id}`
  const [active, setActive] = useState<string | null>(chosenKey)
  const at = Math.max(
    0,
    rows.findIndex(({ key }) => key === active),
  )
  const scroll = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 12,
  })
  const wantsFocus = useRef(false)
  useEffect(() => {
    if (!wantsFocus.current) return
    wantsFocus.current = false
    scroll.current?.querySelector<HTMLElement>('[role="row"][tabindex="0"]')?.focus()
  })
  const move = (to: number): void => {
    const next = Math.min(rows.length - 1, Math.max(0, to))
    virtual.scrollToIndex(next)
    setActive(rows[next]?.key ?? null)
    wantsFocus.current = true
  }
  const open = (row: OutlineRow, isOpen: boolean): void => {
    const next = new Set(expanded)
    if (isOpen) next.add(row.key)
    else next.delete(row.key)
    setExpanded(next)
  }
  const choose = (row: OutlineRow): void => {
    setActive(row.key)
    placed.go({ chosen: { kind: row.kind, id: row.id }, path: null, tab: 'inspect' }, true)
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    const row = rows[at]
    if (row === undefined || event.altKey || event.ctrlKey || event.metaKey) return
    const act = keyAct(event.key, row, rows, at)
    if (act === null) return
    event.preventDefault()
    if (act === 'choose') choose(row)
    else if (act === 'open' || act === 'close') {
      open(row, act === 'open')
      wantsFocus.current = true
    } else move(act)
  }
  return (
    <section className="gp-outline" aria-label="Outline">
      <div className="gp-outline-head">
        <input
          type="search"
          aria-label="Filter the outline"
          placeholder="Filter by label, id or type"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
        <span className="quiet small-text">
          {count(snapshot.nodes.length)} nodes, {count(snapshot.edges.length)} edges
        </span>
      </div>
      {rows.length === 0 ? (
        <Empty title={filter === '' ? 'The graph is empty' : 'Nothing fits'} />
      ) : (
        <div className="gp-outline-rows" ref={scroll}>
          <div
            role="treegrid"
            aria-label="Nodes and edges"
            aria-rowcount={rows.length}
            style={{ height: virtual.getTotalSize() }}
            onKeyDown={onKeyDown}
          >
            {virtual.getVirtualItems().map(({ index, start }) => (
              <RowView
                key={rows[index]!.key}
                row={rows[index]!}
                index={index}
                start={start}
                isActive={index === at}
                isChosen={rows[index]!.key === chosenKey}
                onOpen={open}
                onChoose={choose}
              />
            ))}
          </div>
        </div>
      )}
    </section>
  )
}

/** What a key does: another row by its index, or something with this one. */
function keyAct(
  key: string,
  row: OutlineRow,
  rows: readonly OutlineRow[],
  at: number,
): number | 'open' | 'close' | 'choose' | null {
  switch (key) {
    case 'ArrowDown':
      return at + 1
    case 'ArrowUp':
      return at - 1
    case 'Home':
      return 0
    case 'End':
      return rows.length - 1
    case 'PageDown':
      return at + PAGE
    case 'PageUp':
      return at - PAGE
    case 'ArrowRight':
      if (row.hasChildren && !row.isExpanded) return 'open'
      return row.hasChildren ? at + 1 : at
    case 'ArrowLeft': {
      if (row.isExpanded) return 'close'
      for (let i = at - 1; i >= 0; i--) if (rows[i]!.level < row.level) return i
      return at
    }
    case 'Enter':
    case ' ':
      return 'choose'
    default:
      return null
  }
}

function RowView({
  row,
  index,
  start,
  isActive,
  isChosen,
  onOpen,
  onChoose,
}: {
  row: OutlineRow
  index: number
  start: number
  isActive: boolean
  isChosen: boolean
  onOpen: (row: OutlineRow, isOpen: boolean) => void
  onChoose: (row: OutlineRow) => void
}) {
  const { kind, id, level, label, type, detail, hasChildren, isExpanded } = row
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the treegrid has the keys
    <div
      role="row"
      aria-rowindex={index + 1}
      aria-level={level}
      aria-selected={isChosen}
      {...(hasChildren ? { 'aria-expanded': isExpanded } : {})}
      tabIndex={isActive ? 0 : -1}
      className={`gp-outline-row gp-outline-${kind}`}
      style={{ transform: `translateY(${start}px)`, paddingLeft: 8 + (level - 1) * 18 }}
      onClick={() => onChoose(row)}
    >
      <span role="gridcell" className="gp-outline-label">
        <span
          className="gp-twist"
          aria-hidden="true"
          onClick={(event) => {
            event.stopPropagation()
            if (hasChildren) onOpen(row, !isExpanded)
          }}
        >
          {hasChildren ? (isExpanded ? '▾' : '▸') : ''}
        </span>
        {label}
      </span>
      <span role="gridcell" className="quiet">
        {type}
      </span>
      <span role="gridcell" className="quiet gp-outline-id">
        <code>{id}</code>
      </span>
      <span role="gridcell" className="quiet small-text">
        {detail}
      </span>
    </div>
  )
}
