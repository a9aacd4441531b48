// biome-ignore-all lint/a11y/useSemanticElements: a fieldset has a border and a form
/** A graph that is there: header, picture or outline, panel, slider. */
import type { GraphFlow } from '@dao-api/react-flow'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { Link } from 'wouter'
import type { ApiError } from '../shared/api.ts'
import { useClient } from '../shared/client.ts'
import { ProblemView, StaleNote } from '../shared/problem.tsx'
import { spoken, Time } from '../shared/time.tsx'
import { Empty, Loading } from '../shared/ui.tsx'
import { useUnlock } from '../shared/unlock.ts'
import { useLoad } from '../shared/use_load.ts'
import { exactly } from '../shared/when.ts'
import { FlowCanvas } from './canvas/flow_canvas.tsx'
import { OthersCursors } from './canvas/people.tsx'
import { EditBridge, EditCursors, UndoButtons } from './edit_bridge.tsx'
import { GraphHeader } from './graph_header.tsx'
import { GraphTab } from './graph_tab.tsx'
import { labelMarks } from './histogram.ts'
import { OutlineView } from './outline_view.tsx'
import { Panel } from './panel/panel.tsx'
import { type Move, type Placed, usePlace } from './place.ts'
import { getCommit } from './source.ts'
import { v } from './text.ts'
import { TimeSlider } from './time_slider.tsx'
import { takeUndo } from './undo_later.ts'
import { useActs } from './use_acts.tsx'
import { useGraphKeys } from './use_graph_keys.ts'
import type { Head } from './use_head.ts'
import { useTravel } from './use_travel.ts'
import { momentAt, usePast, useView, useWanted, type Wanted } from './use_view.ts'
import type { Commit, GraphRow } from './wire_types.ts'

/** With more nodes and edges than this, even a few commits may be megabytes. */
const SMALL = 3_000

interface GraphViewProps {
  id: string
  at: string | null
  head: Head
  row: GraphRow
  rowAsOf: number
  rowError: ApiError | undefined
  reload: () => void
}

export function GraphView({ id, at, head, row, rowAsOf, rowError, reload }: GraphViewProps) {
  const client = useClient()
  const isTrashed = row.trashed !== undefined
  const placed = usePlace(id, at)
  const { place, go } = placed
  // The end of the slider. The picture of the head may be older: what names a picture has the version of the picture.
  const headVersion = Math.max(head.version, row.version)
  const marks = useMemo(() => labelMarks(row.labels), [row.labels])
  const { wanted, error: wantedError } = useWanted(id, at, row)
  const [isUnlocked] = useUnlock(id)
  const [flow, setFlow] = useState<GraphFlow | null>(null)

  // The graph in the trash has no head that can be followed: its last version is shown instead.
  const named = wanted?.kind === 'version' ? wanted.version : null
  const addressed = wanted?.kind === 'head' && isTrashed ? row.version : named
  const past = usePast(id, head)
  const travel = useTravel(placed, addressed, headVersion, past, marks)
  const shown = useMemo<Wanted | null>(() => {
    if (wanted === null && !travel.isMoving) return null
    return travel.version === null ? { kind: 'head' } : { kind: 'version', version: travel.version }
  }, [wanted, travel.isMoving, travel.version])
  const viewed = useView(past, shown, head)
  useRefreshRow(head, row.version, reload)

  const isHead = travel.version === null
  const pictureOfHead = head.snapshot.ready ? head.version : headVersion
  const version = travel.version ?? pictureOfHead
  const error = wantedError ?? viewed.error
  // What was shown before is grey until the next is there, and gone if that fails.
  const view = error === null || error === undefined ? viewed.view : null
  const isOlder = view !== null && (viewed.isLoading || view.version !== version)
  // What is not the picture waits until the picture is there.
  const isShown = view !== null
  const commit = useShownCommit(id, view?.version ?? version, view?.moment?.commit ?? null, isShown)
  // Nothing of the graph is there to be shown, nor is that a version of it.
  const notYet = travel.version === 0 && !travel.isMoving ? momentAt(at) : null
  useEffect(() => {
    if (head.graph?.id === id) takeUndo(head.graph)
  }, [id, head.graph])
  const acts = useActs({ id, row, version, head: headVersion, isHead, isUnlocked, reload, placed, graph: head.graph })
  useGraphKeys({ placed, travel, version, isHead })
  const choose = useCallback((chosen: Move['chosen']) => go({ chosen: chosen ?? null, path: null }, true), [go])

  const editing = flow !== null && isUnlocked && isHead ? flow : null
  return (
    <main
      className={`gp ${isHead ? '' : 'gp-past'} ${isHead && head.status.connection === 'offline' ? 'gp-stale' : ''}`}
    >
      {client !== null && isUnlocked && isHead && <EditBridge client={client} id={id} onFlow={setFlow} />}
      <GraphHeader
        id={id}
        row={row}
        placed={placed}
        version={version}
        head={pictureOfHead}
        isHead={isHead}
        isUnknown={wantedError !== undefined}
        status={head.status}
        marks={marks}
        menu={acts.menu}
      />
      {rowError !== undefined && <StaleNote error={rowError} asOf={<Time at={rowAsOf} />} onRetry={reload} />}
      {isTrashed && <TrashNote row={row} />}
      {!isHead && !isTrashed && notYet !== null && <NotYetNote moment={notYet} row={row} placed={placed} />}
      {!isHead && !isTrashed && notYet === null && (
        <PastNote
          version={version}
          commit={commit}
          placed={placed}
          moment={momentAt(at)}
          onRestore={version > 0 && version < headVersion ? () => acts.restore(version) : null}
          whyNot={acts.why}
        />
      )}
      <div className="gp-body">
        <div className={`gp-stage ${isOlder ? 'gp-stage-loading' : ''}`} aria-busy={viewed.isLoading || isOlder}>
          <Toolbar placed={placed} flow={editing} />
          {error !== null && error !== undefined && (
            <ProblemView error={error} onRetry={viewed.retry}>
              <Link href={placed.to({ at: null })}>Back to now</Link>
            </ProblemView>
          )}
          {view === null && !error && <Loading what="the graph" />}
          {view !== null && notYet !== null && <Empty title="The graph did not exist yet" />}
          {view !== null && notYet === null && place.show === 'outline' && (
            <OutlineView snapshot={view.snapshot} placed={placed} />
          )}
          {view !== null && notYet === null && place.show === 'canvas' && (
            <FlowCanvas
              nodes={editing === null ? view.snapshot.nodes : (editing.props.nodes as never)}
              edges={editing === null ? view.snapshot.edges : (editing.props.edges as never)}
              chosen={place.chosen}
              onChoose={choose}
              fitKey={id}
              edit={editing === null || editing.readOnly ? undefined : editing.props}
              label={`${view.kind === 'head' ? 'The graph as it is now' : `The graph in ${v(view.version)}`} as a picture. The outline has the same as a table.`}
            >
              {editing !== null && <EditCursors flow={editing} />}
              {editing === null && isHead && head.graph !== null && <OthersCursors graph={head.graph} />}
            </FlowCanvas>
          )}
        </div>
        <Panel placed={placed}>
          <GraphTab
            id={id}
            row={row}
            placed={placed}
            view={view}
            failed={error !== null && error !== undefined}
            version={view?.version ?? version}
            head={headVersion}
            replacements={head.replacements}
            graph={head.graph}
            now={head.snapshot}
            commit={commit}
            flow={editing}
            onRestore={acts.restore}
            onLabel={acts.label}
            whyNot={acts.why}
          />
        </Panel>
      </div>
      <TimeSlider
        id={id}
        head={headVersion}
        travel={travel}
        past={past}
        marks={marks}
        commit={commit}
        isShown={isShown}
        hasSmallCommits={row.nodes + row.edges < SMALL}
      />
      {acts.dialog}
    </main>
  )
}

/** How often the row is asked for while it is that of a history that was replaced. */
const BEHIND_MS = 2_000

/**
 * The row has labels, title and trash: it is asked for again when commits came, and when the history is another one. A row
 * with more versions than that one has is that of the history before.
 */
function useRefreshRow({ version, replacements, status }: Head, known: number, reload: () => void): void {
  useEffect(() => {
    if (replacements > 0) reload()
  }, [replacements, reload])
  useEffect(() => {
    if (version <= known) return
    const timer = setTimeout(reload, 800)
    return () => clearTimeout(timer)
  }, [version, known, reload])
  const isOfBefore = replacements > 0 && known > version && status.connection === 'live'
  useEffect(() => {
    if (!isOfBefore) return
    const timer = setInterval(reload, BEHIND_MS)
    return () => clearInterval(timer)
  }, [isOfBefore, reload])
}

/** The commit of a version: it comes with the past; of the head it is asked for. */
function useShownCommit(id: string, version: number, known: Commit | null, when: boolean): Commit | null {
  const isKnown = known?.version === version
  const { data } = useLoad(`commit ${id} ${version}`, (signal) => getCommit(id, version, signal), {
    when: when && !isKnown && version > 0,
  })
  return isKnown ? known : data?.version === version ? data : null
}

/** `moment`: the address names this time, and the version is the last one by then. */
function PastNote({
  version,
  commit,
  placed,
  moment,
  onRestore,
  whyNot,
}: {
  version: number
  commit: Commit | null
  placed: Placed
  moment: number | null
  onRestore: (() => void) | null
  whyNot: string | null
}) {
  const when = commit?.version === version ? ` of ${spoken(commit.timestamp)}` : ''
  return (
    <div className="gp-note" role="status">
      <span aria-hidden="true">⟲</span> You look at <strong>{v(version)}</strong>
      {when}
      {moment !== null && `, the latest on ${exactly(moment)}`} ·{' '}
      <Link href={placed.to({ at: null })} className="gp-now">
        back to now
      </Link>
      {onRestore !== null && whyNot === null && (
        <>
          {' '}
          ·{' '}
          <button type="button" className="link" onClick={onRestore}>
            Restore this version…
          </button>
        </>
      )}
    </div>
  )
}

/** The address names a time before the first commit. */
function NotYetNote({ moment, row, placed }: { moment: number; row: GraphRow; placed: Placed }) {
  return (
    <p className="gp-note" role="status">
      <span aria-hidden="true">⟲</span> The graph did not exist yet on <strong>{exactly(moment)}</strong>. It was made
      on {exactly(row.createdAt)} by {row.createdBy} · <Link href={placed.to({ at: 1 })}>its first version</Link> ·{' '}
      <Link href={placed.to({ at: null })} className="gp-now">
        back to now
      </Link>
    </p>
  )
}

function TrashNote({ row }: { row: GraphRow }) {
  const { by, at, purgeAt, reason } = row.trashed!
  return (
    <p className="gp-note gp-note-trash" role="status">
      <strong>In the trash</strong> since <Time at={at} />
      {by !== null && `, put there by ${by}`}
      {reason !== undefined && `: ${reason}`}.{' '}
      {purgeAt !== undefined && (
        <>
          It is purged <Time at={purgeAt} />; until then it can be recovered.
        </>
      )}
    </p>
  )
}

function Toolbar({ placed, flow }: { placed: Placed; flow: GraphFlow | null }) {
  const { place, go } = placed
  return (
    <div className="gp-toolbar">
      <div role="group" aria-label="Shown as" className="gp-switch">
        {(['canvas', 'outline'] as const).map((show) => (
          <button key={show} type="button" aria-pressed={place.show === show} onClick={() => go({ show }, true)}>
            {show === 'canvas' ? 'Picture' : 'Outline'}
          </button>
        ))}
      </div>
      {flow !== null && <UndoButtons flow={flow} />}
    </div>
  )
}
