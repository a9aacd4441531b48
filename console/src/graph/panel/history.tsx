// biome-ignore-all lint/a11y/useSemanticElements: a list that scrolls is a region with a name
/** History: what happened, newest first, in windows (K3). Rows are virtual; pages are dropped when they are far away. */

import type { Graph } from '@dao-api/client'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'react'
import { Link } from 'wouter'
import type { ApiError } from '../../shared/api.ts'
import { counted } from '../../shared/format.ts'
import { compareLink, operationLink } from '../../shared/links.ts'
import { ProblemView } from '../../shared/problem.tsx'
import { useSession } from '../../shared/session.ts'
import { stamp } from '../../shared/time.tsx'
import { Empty, Loading, Menu, User } from '../../shared/ui.tsx'
import { asApiError } from '../../shared/use_load.ts'
import { exactly } from '../../shared/when.ts'
import { contentOf, describe, learnNames } from '../describe.ts'
import { HistoryWindow } from '../history_window.ts'
import type { Placed } from '../place.ts'
import { type Line, linesOf, opOf } from '../runs.ts'
import { type Seen, seenAfter } from '../seen.ts'
import { getOperations } from '../source.ts'
import { v } from '../text.ts'
import type { AuditedOperation } from '../wire_types.ts'
import { type Filter, HistoryFilters, type Kind, NO_FILTER } from './history_filters.tsx'

const ROW = 54
const TYPES: Readonly<Record<Kind, string | null>> = {
  everything: null,
  content: null,
  attributes: 'UPDATE_GRAPH',
  labels: 'LABEL_VERSION',
}

interface HistoryProps {
  id: string
  placed: Placed
  version: number
  head: number
  /** How often the history was replaced by another one. */
  replacements: number
  /** The commit of the past that is shown. */
  here: { version: number; timestamp: number } | null
  name: (id: string) => string
  graph: Graph | null
  onRestore: (version: number) => void
  onLabel: (version: number) => void
  /** Why neither can be done; null if they can. */
  whyNot: string | null
}

export function History(props: HistoryProps) {
  const { id, head, replacements } = props
  const [filter, setFilter] = useState<Filter>(NO_FILTER)
  const [before, setSeen] = useState<Seen>({ version: head, replacements })
  const seen = seenAfter(before, head, replacements)
  if (seen !== before) setSeen(seen)
  const newer = head - seen.version
  // What this user writes is shown at once; what others write waits, so that nobody loses the place.
  const { graph } = props
  const { userId } = useSession()
  const [own, setOwn] = useState(0)
  useEffect(() => graph?.on('commit', (commit) => commit.userId === userId && setOwn(commit.version)), [graph, userId])
  useEffect(() => {
    if (own > seen.version && own <= head) setSeen({ version: head, replacements })
  }, [own, seen.version, head, replacements])
  return (
    <div className="gp-history">
      <HistoryFilters filter={filter} setFilter={setFilter} here={props.here} />
      {newer > 0 && filter.to === null && (
        <button type="button" className="gp-newer" onClick={() => setSeen({ version: head, replacements })}>
          ↑ {counted(newer, 'newer commit')}
        </button>
      )}
      <Rows key={`${id} ${JSON.stringify(filter)} ${seen.version} ${seen.replacements}`} {...props} filter={filter} />
    </div>
  )
}

function Rows(props: HistoryProps & { filter: Filter }) {
  const { id, filter, version } = props
  const [, renew] = useReducer((count: number) => count + 1, 0)
  const [error, setError] = useState<ApiError | null>(null)
  // What is neither in the version that is shown nor in that of now has the name with which it was made.
  const learned = useRef(new Map<string, string>())
  const { name: known } = props
  const name = useCallback(
    (of: string): string => {
      const found = known(of)
      return found === of ? (learned.current.get(of) ?? of) : found
    },
    [known],
  )
  const [expanded, setExpanded] = useState<ReadonlySet<number>>(new Set())
  const rows = useMemo(
    () =>
      new HistoryWindow(async (cursor, limit, signal) => {
        const { user, kind, refused, to } = filter
        const type = TYPES[kind] ?? filter.type
        const status = refused && kind !== 'content' ? null : 'completed'
        const page = await getOperations(id, { user, type, status, to }, cursor, limit, signal)
        const { operations, nextCursor } = page
        for (const { events } of operations) learnNames(events, learned.current)
        const isWanted = (one: AuditedOperation): boolean => kind !== 'content' || contentOf(one.events) === 'content'
        return { rows: operations.filter(isWanted), nextCursor }
      }, opOf),
    [id, filter],
  )
  // What fits a filter may be far away: after some pages the user is asked whether to look further.
  const [isPaused, setPaused] = useState(false)
  const abort = useRef(new AbortController())
  const step = useRef(0)
  useEffect(() => {
    abort.current = new AbortController()
    return () => abort.current.abort()
  }, [])
  const want = useCallback(
    async (from: number, to: number) => {
      const mine = ++step.current
      const { signal } = abort.current
      const isOver = (): boolean => signal.aborted || step.current !== mine
      setPaused(false)
      try {
        const isDone = await rows.wantAll(from, to, { signal, isOver, came: renew })
        if (isOver()) return
        setPaused(!isDone)
        setError(null)
      } catch (failure) {
        if (isOver()) return
        setError(asApiError(failure))
      }
      renew()
    },
    [rows],
  )
  const scroll = useRef<HTMLDivElement>(null)
  const lines = linesOf(rows.count, (index) => rows.brief(index), expanded, filter.collapse)
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroll.current,
    estimateSize: (index) => (lines[index]?.kind === 'run' ? 36 : ROW),
    overscan: 10,
  })
  const items = virtual.getVirtualItems()
  const [first, last] = [lines[items[0]?.index ?? 0], lines[items[items.length - 1]?.index ?? 0]]
  const [from, to] = [indexOf(first, 'from'), indexOf(last, 'to')]
  const isAtEnd = items.length === 0 || (items[items.length - 1]?.index ?? 0) >= lines.length - 5
  useEffect(() => {
    void want(from, isAtEnd ? Math.max(to, rows.count) : to)
  }, [want, from, to, isAtEnd, rows])
  const toggle = (index: number): void => {
    const next = new Set(expanded)
    if (!next.delete(index)) next.add(index)
    setExpanded(next)
  }
  const again = (): void => void want(from, Math.max(to, rows.count))
  const problem = error !== null && <ProblemView error={error} onRetry={again} />
  const further = !problem && isPaused && rows.hasMore && (
    <p className="quiet small-text gp-end" role="status">
      Searched {counted(rows.pages, 'page')} of the history so far.{' '}
      <button type="button" onClick={again}>
        Look further
      </button>
    </p>
  )
  if (rows.count === 0) {
    if (problem !== false) return problem
    if (further !== false) return further
    return rows.hasMore ? <Loading what="the history" /> : <Empty title="Nothing fits this filter" />
  }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <div className="gp-rows" ref={scroll} tabIndex={0} role="region" aria-label="History">
      <ol style={{ height: virtual.getTotalSize() }} aria-label="Operations, newest first">
        {items.map(({ index, start, size }) => (
          <li key={index} style={{ transform: `translateY(${start}px)`, height: size }}>
            <LineView
              line={lines[index]!}
              row={(at) => rows.row(at)}
              expanded={expanded}
              toggle={toggle}
              {...props}
              name={name}
            />
          </li>
        ))}
      </ol>
      {further}
      {problem !== false && <div className="gp-rows-problem">{problem}</div>}
      {!rows.hasMore && <p className="quiet small-text gp-end">This is the beginning. You look at {v(version)}.</p>}
    </div>
  )
}

function indexOf(line: Line | undefined, side: 'from' | 'to'): number {
  if (line === undefined) return 0
  return line.kind === 'row' ? line.index : line.run[side]
}

function LineView({
  line,
  row,
  expanded,
  toggle,
  ...props
}: HistoryProps & {
  line: Line
  row: (index: number) => AuditedOperation | undefined
  expanded: ReadonlySet<number>
  toggle: (index: number) => void
}) {
  if (line.kind === 'row') {
    const operation = row(line.index)
    return operation === undefined ? <span className="quiet">…</span> : <RowView operation={operation} {...props} />
  }
  const { from, to, userId, what } = line.run
  const isOpen = expanded.has(from)
  return (
    <button type="button" className="gp-run" aria-expanded={isOpen} onClick={() => toggle(from)}>
      <span aria-hidden="true">{isOpen ? '▾' : '▸'}</span> {to - from + 1} {what}, {userId}
    </button>
  )
}

function RowView({ operation, ...props }: HistoryProps & { operation: AuditedOperation }) {
  const { id, placed, version: here, head, name, onRestore, onLabel, whyNot } = props
  const { version, status, userId, timestamp, operationId, undoneBy } = operation
  if (status !== 'completed') return <RefusedRow id={id} operation={operation} />
  const isHere = version === here
  const items = [
    ...(version > 1
      ? [{ label: 'Compare with the version before', run: () => open(compareLink(id, version - 1, version)) }]
      : []),
    { label: 'Compare with now', run: () => open(compareLink(id, version, 'head')) },
    { label: 'Open the operation', run: () => open(operationLink(operationId, id, version)) },
    { label: 'Label this version…', run: () => onLabel(version), why: whyNot },
    {
      label: 'Restore this version…',
      run: () => onRestore(version),
      why: version === head ? 'It is like this now.' : whyNot,
    },
  ]
  const open = (link: string): void => props.placed.open(link)
  return (
    <div className={`gp-row ${isHere ? 'gp-row-here' : ''}`}>
      <span className="gp-row-top">
        <Link href={placed.to({ at: version })} className="gp-row-version" aria-current={isHere ? 'true' : undefined}>
          {operation.events[0]?.type === 'VersionLabelled' && '⚑ '}
          {v(version)}
        </Link>
        <User id={userId} />
        <span className="quiet small-text gp-row-time" title={exactly(timestamp)}>
          {stamp(timestamp)}
        </span>
        <Menu label={`More about ${v(version)}`} items={items} />
      </span>
      <span className="gp-row-what">
        {describe(operation, name)}
        {undoneBy !== undefined && undoneBy.length > 0 && <em> · taken back</em>}
        {operation.outcome === 'merged' && <em> · merged</em>}
      </span>
    </div>
  )
}

function RefusedRow({ id, operation }: { id: string; operation: AuditedOperation }) {
  const { userId, commandType, timestamp, operationId, error, version } = operation
  const conflict = error?.resolution?.conflicts[0]
  return (
    <div className="gp-row gp-row-refused">
      <span className="gp-row-top">
        <b>
          <span aria-hidden="true">✕ </span>refused
        </b>
        <User id={userId} />
        <span className="quiet small-text gp-row-time">
          at {v(version)}, {stamp(timestamp)}
        </span>
      </span>
      <span className="gp-row-what">
        {commandType} {error?.code} {conflict === undefined ? '' : `${conflict.id} ${conflict.path}`}{' '}
        <Link href={operationLink(operationId, id, version)}>why</Link>
      </span>
    </div>
  )
}
