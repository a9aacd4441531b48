// biome-ignore-all lint/a11y/useSemanticElements: a list that scrolls is a region with a name
/** The changes of a comparison as a list; the chosen one in full, with a text diff. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useRef } from 'react'
import { Link } from 'wouter'
import { JsonView } from '../shared/json_view.tsx'
import { graphLink } from '../shared/links.ts'
import { User } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'
import { type PathChange, type Row, SIGNS } from './compare.ts'
import { getTouches } from './source.ts'
import { shortValue, v } from './text.ts'
import { textDiff } from './text_diff.ts'
import type { Difference } from './wire_types.ts'

export function CompareList({
  id,
  rows,
  chosen,
  onChoose,
  difference,
}: {
  id: string
  rows: readonly Row[]
  chosen: string | null
  onChoose: (key: string | null) => void
  difference: Difference
}) {
  const scroll = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => 52,
    overscan: 8,
    getItemKey: (index) => rows[index]!.key,
  })
  const at = rows.findIndex(({ key }) => key === chosen)
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at, { align: 'auto' })
  }, [at, virtual])
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <div className="gp-rows" ref={scroll} tabIndex={0} role="region" aria-label="Changes">
      <ol style={{ height: virtual.getTotalSize() }} aria-label="Changes">
        {virtual.getVirtualItems().map(({ index, start }) => {
          const row = rows[index]!
          return (
            <li
              key={row.key}
              data-index={index}
              ref={virtual.measureElement}
              style={{ transform: `translateY(${start}px)` }}
            >
              <RowView id={id} row={row} isOpen={row.key === chosen} onChoose={onChoose} difference={difference} />
            </li>
          )
        })}
      </ol>
    </div>
  )
}

function RowView({
  id,
  row,
  isOpen,
  onChoose,
  difference,
}: {
  id: string
  row: Row
  isOpen: boolean
  onChoose: (key: string | null) => void
  difference: Difference
}) {
  const { mark, entity, label, changes, by, key } = row
  const first = changes[0]
  return (
    <div className={`gp-change ${isOpen ? 'gp-change-open' : ''}`}>
      <button type="button" aria-expanded={isOpen} onClick={() => onChoose(isOpen ? null : key)}>
        <span className={`gp-sign gp-text-${mark}`}>
          <b aria-hidden="true">{SIGNS[mark]}</b> {mark}
        </span>
        <span className={first === undefined ? 'gp-change-label gp-change-wraps' : 'gp-change-label'}>
          <span className="quiet">{entity}</span> {label}
        </span>
        {by !== null && (
          <span className="gp-change-by">
            <User id={by.userId} /> <span className="quiet">{v(by.version)}</span>
          </span>
        )}
        {first !== undefined && (
          <span className="gp-change-what">
            <code>{first.path || entity}</code> {shortValue(first.before, 24)} → {shortValue(first.after, 24)}
            {changes.length > 1 && ` and ${changes.length - 1} more`}
          </span>
        )}
      </button>
      {isOpen && <Details id={id} row={row} difference={difference} />}
    </div>
  )
}

function Details({ id, row, difference }: { id: string; row: Row; difference: Difference }) {
  const { entity, mark, changes, whole } = row
  const isInGraph = entity === 'node' || entity === 'edge'
  const side = mark === 'removed' ? difference.from : difference.to
  return (
    <div className="gp-change-details">
      {changes.map((change) => (
        <Change key={change.path} change={change} />
      ))}
      {whole !== null && <JsonView value={whole} open={2} />}
      {isInGraph && <By id={id} row={row} difference={difference} />}
      {isInGraph && <Link href={graphLink(id, side, { [entity]: row.id })}>Inspect in {v(side)}</Link>}
    </div>
  )
}

/** Each path with the commits between the two versions that wrote it. */
function By({ id, row, difference }: { id: string; row: Row; difference: Difference }) {
  const [low, high] = [Math.min(difference.from, difference.to), Math.max(difference.from, difference.to)]
  const kind = row.entity === 'edge' ? 'edge' : 'node'
  const { data } = useLoad(`by ${id} ${row.key} ${low} ${high}`, (signal) => getTouches(id, kind, row.id, low, signal))
  const touches = (data?.touches ?? []).filter(({ version }) => version <= high)
  const isWhole = data?.isWhole !== false && touches.length <= SHOWN_MAX
  if (touches.length === 0 && isWhole) return null
  return (
    <ul className="gp-change-touches small-text">
      {touches.slice(0, SHOWN_MAX).map(({ version, userId, changes }) => (
        <li key={version}>
          <User id={userId} /> <Link href={graphLink(id, version, { [kind]: row.id })}>{v(version)}</Link>{' '}
          <span className="quiet">{(changes ?? []).map(({ path }) => path || 'all of it').join(', ')}</span>
        </li>
      ))}
      {!isWhole && <li className="quiet">Not all: the history of this {kind} has more.</li>}
    </ul>
  )
}

const SHOWN_MAX = 6

function Change({ change: { path, before, after } }: { change: PathChange }) {
  const isText = typeof before === 'string' && typeof after === 'string'
  return (
    <div className="gp-pair">
      <code>{path}</code>
      {isText ? (
        <p className="gp-diff">
          {textDiff(before, after).map(({ kind, text }, index) => {
            const key = `${index} ${kind}`
            if (kind === 'removed') return <del key={key}>{text}</del>
            if (kind === 'added') return <ins key={key}>{text}</ins>
            return <span key={key}>{text}</span>
          })}
        </p>
      ) : (
        <p className="gp-diff">
          <del>{shortValue(before, 200)}</del> <ins>{shortValue(after, 200)}</ins>
        </p>
      )}
    </div>
  )
}
