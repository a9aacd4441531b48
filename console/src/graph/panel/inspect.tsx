/** Inspect: what is chosen, field by field, with who wrote each and when (A4). */
import type { GraphEdge, GraphNode, GraphSnapshot } from '@dao-api/client'
import { useMemo, useState } from 'react'
import { Link } from 'wouter'
import { bytes, counted } from '../../shared/format.ts'
import { isObject } from '../../shared/is_object.ts'
import { JsonView } from '../../shared/json_view.tsx'
import { consoleRoot } from '../../shared/place.ts'
import { ProblemView } from '../../shared/problem.tsx'
import { Time } from '../../shared/time.tsx'
import { CopyButton, Empty, User } from '../../shared/ui.tsx'
import { useLoad } from '../../shared/use_load.ts'
import { exactly } from '../../shared/when.ts'
import { edgeLabel } from '../canvas/elements.ts'
import { covers, fieldsOf, valueAt, type Writer, writersOf } from '../fields.ts'
import type { Placed } from '../place.ts'
import { getTouches } from '../source.ts'
import { labelOf, shortValue, v } from '../text.ts'
import { absence } from '../touches.ts'
import type { Touch } from '../wire_types.ts'

const FOLD_BYTES = 300

interface InspectProps {
  id: string
  placed: Placed
  snapshot: GraphSnapshot
  version: number
  head: number
  meta: (id: string) => { createdAt: number; updatedAt: number; version: number } | undefined
  /** Present while the head may be edited. */
  edit?:
    | {
        /** The entity with what is being typed. */
        value: (id: string) => unknown
        set: (id: string, pointer: string, value: string) => void
      }
    | undefined
}

export function InspectEntity(props: InspectProps) {
  const { placed, snapshot } = props
  const { chosen } = placed.place
  const entity = useMemo(() => {
    const list: readonly (GraphNode | GraphEdge)[] = chosen?.kind === 'edge' ? snapshot.edges : snapshot.nodes
    return list.find((one) => one.id === chosen?.id)
  }, [snapshot, chosen])
  if (chosen === null) return null
  if (entity === undefined) return <Missing {...props} />
  return <Entity {...props} kind={chosen.kind} entity={entity} />
}

function Missing({ id, placed, version }: InspectProps) {
  const { chosen } = placed.place
  const history = useTouches(id, chosen?.kind ?? 'node', chosen?.id ?? '', 0)
  const { gone, made } = absence(history.data ?? { touches: [], isWhole: false }, version)
  return (
    <Empty title={`There is no ${chosen?.kind} ${chosen?.id} in ${v(version)}`}>
      {gone !== null && (
        <p>
          {gone.userId} deleted it in <Link href={placed.to({ at: gone.version })}>{v(gone.version)}</Link>. It was last
          there in <Link href={placed.to({ at: gone.version - 1 })}>{v(gone.version - 1)}</Link>.
        </p>
      )}
      {gone === null && made !== null && (
        <p>
          {made.userId} made it in <Link href={placed.to({ at: made.version })}>{v(made.version)}</Link>.
        </p>
      )}
      <button type="button" onClick={() => placed.go({ chosen: null })}>
        Choose nothing
      </button>
    </Empty>
  )
}

/** The history of an entity, from the newest, if it is not too long. */
function useTouches(id: string, kind: 'node' | 'edge', entity: string, seen: number) {
  return useLoad(`touches ${id} ${kind} ${entity} ${seen}`, (signal) => getTouches(id, kind, entity, 0, signal))
}

function Entity(props: InspectProps & { kind: 'node' | 'edge'; entity: GraphNode | GraphEdge }) {
  const { id, placed, snapshot, version, kind, entity, meta, edit } = props
  const facts = meta(entity.id)
  const history = useTouches(id, kind, entity.id, facts?.version ?? 0)
  const fields = useMemo(() => fieldsOf(entity as Record<string, unknown>), [entity])
  const writers = useMemo(
    () => writersOf(fields, history.data?.touches ?? [], version),
    [fields, history.data, version],
  )
  const pinned = new URL(placed.to({ at: version }).slice(1), consoleRoot).href
  return (
    <div className="gp-inspect">
      <header className="gp-inspect-head">
        <h2>{labelOf(entity)}</h2>
        <p className="quiet small-text">
          {kind} <code>{entity.id}</code> <CopyButton text={entity.id} label="Copy the id" />
          {facts !== undefined && facts.version > 0 && (
            <>
              {' '}
              last written in <Link href={placed.to({ at: facts.version })}>{v(facts.version)}</Link>{' '}
              <Time at={facts.updatedAt} /> ({exactly(facts.updatedAt)})
            </>
          )}
        </p>
        <p>
          <CopyButton text={pinned} label={`Copy link to ${v(version)}`}>
            Copy link
          </CopyButton>
        </p>
      </header>
      {edit !== undefined && <Rename kind={kind} entity={entity} edit={edit} />}
      {history.error !== undefined && <ProblemView error={history.error} onRetry={history.reload} />}
      <table className="gp-fields">
        <caption className="hidden">Fields of {entity.id}</caption>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Value</th>
            <th scope="col">Written by</th>
          </tr>
        </thead>
        <tbody>
          {fields.map((field) => (
            <Field
              key={field.path}
              path={field.path}
              value={field.value}
              writer={writers.get(field.path)}
              isLoading={history.loading}
              isLink={placed.place.path !== null && covers(placed.place.path, field.path)}
              placed={placed}
            />
          ))}
        </tbody>
      </table>
      {history.data?.isWhole === false && (
        <p className="quiet small-text">
          Only the latest {counted(history.data.touches.length, 'change')} were looked at.
        </p>
      )}
      {kind === 'node' ? <EdgesOf node={entity.id} snapshot={snapshot} placed={placed} /> : null}
      {kind === 'edge' ? <Ends edge={entity as GraphEdge} snapshot={snapshot} placed={placed} /> : null}
      <Touches touches={history.data?.touches ?? []} placed={placed} version={version} />
      <Raw value={{ ...entity, ...facts }} />
    </div>
  )
}

function Field({
  path,
  value,
  writer,
  isLoading,
  isLink,
  placed,
}: {
  path: string
  value: unknown
  writer: Writer | undefined
  isLoading: boolean
  isLink: boolean
  placed: Placed
}) {
  return (
    <tr className={isLink ? 'gp-field-chosen' : ''}>
      <th scope="row">
        <Link
          href={placed.to({ path })}
          replace
          className="gp-path"
          title={path}
          aria-current={isLink ? 'true' : undefined}
        >
          {path}
        </Link>
      </th>
      <td>
        <Value value={value} />
      </td>
      <td className="gp-writer">
        {writer === undefined ? (
          <span className="quiet">{isLoading ? '…' : '–'}</span>
        ) : (
          <>
            <span className="gp-writer-line">
              <User id={writer.userId} />{' '}
              <Link href={placed.to({ at: writer.version, path })}>{v(writer.version)}</Link>
            </span>
            <span className="gp-writer-line small-text">
              <span className="quiet">
                <Time at={writer.timestamp} />
              </span>
              {writer.before !== undefined && writer.before !== null && (
                <Link
                  href={placed.to({ at: writer.version - 1, path })}
                  title={`Before this: ${shortValue(writer.before)}`}
                  aria-label={`${path} before this change: ${shortValue(writer.before)}`}
                >
                  ⟲ before
                </Link>
              )}
            </span>
            <span className="gp-writer-line gp-writer-exact quiet">{exactly(writer.timestamp)}</span>
          </>
        )}
      </td>
    </tr>
  )
}

function Value({ value }: { value: unknown }) {
  if (isObject(value) && typeof value.x === 'number' && Object.keys(value).length === 2)
    return <code>{shortValue(value)}</code>
  if (typeof value === 'object' && value !== null) return <JsonView value={value} open={0} />
  if (typeof value === 'string' && value.length > FOLD_BYTES) return <JsonView value={{ text: value }} open={0} />
  return <code className="gp-value">{typeof value === 'string' ? value : shortValue(value)}</code>
}

function Rename({
  kind,
  entity,
  edit,
}: {
  kind: 'node' | 'edge'
  entity: GraphNode | GraphEdge
  edit: NonNullable<InspectProps['edit']>
}) {
  const pointer = kind === 'edge' && !isObject(entity.data) ? '/label' : '/data/label'
  const value = valueAt(edit.value(entity.id) ?? entity, pointer)
  return (
    <label className="field gp-rename">
      <span>Label</span>
      <input
        value={typeof value === 'string' ? value : ''}
        onChange={(event) => edit.set(entity.id, pointer, event.target.value)}
      />
    </label>
  )
}

function EdgesOf({ node, snapshot, placed }: { node: string; snapshot: GraphSnapshot; placed: Placed }) {
  const { incoming, outgoing, names } = useMemo(() => {
    const incoming = snapshot.edges.filter(({ target }) => target === node)
    const outgoing = snapshot.edges.filter(({ source }) => source === node)
    const near = new Set([...incoming, ...outgoing].flatMap(({ source, target }) => [source, target]))
    const names = new Map(snapshot.nodes.filter(({ id }) => near.has(id)).map((one) => [one.id, labelOf(one)]))
    return { incoming, outgoing, names }
  }, [node, snapshot])
  if (incoming.length + outgoing.length === 0) return null
  const item = (edge: GraphEdge, other: string, arrow: string) => (
    <li key={edge.id}>
      <span aria-hidden="true">{arrow}</span>{' '}
      <Link href={placed.to({ chosen: { kind: 'node', id: other }, path: null })}>{names.get(other) ?? other}</Link>{' '}
      <Link
        className="quiet small-text"
        href={placed.to({ chosen: { kind: 'edge', id: edge.id }, path: null })}
        title={`Edge ${edge.id}`}
      >
        {edgeLabel(edge) ?? `edge ${edge.id}`}
      </Link>
    </li>
  )
  return (
    <section className="gp-edges">
      <h3>Edges</h3>
      <ul>
        {incoming.slice(0, 50).map((edge) => item(edge, edge.source, '←'))}
        {outgoing.slice(0, 50).map((edge) => item(edge, edge.target, '→'))}
      </ul>
      {incoming.length + outgoing.length > 100 && <p className="quiet">The outline lists all.</p>}
    </section>
  )
}

function Ends({ edge, snapshot, placed }: { edge: GraphEdge; snapshot: GraphSnapshot; placed: Placed }) {
  const name = (id: string): string => {
    const node = snapshot.nodes.find((one) => one.id === id)
    return node === undefined ? id : labelOf(node)
  }
  return (
    <p className="gp-edges">
      <Link href={placed.to({ chosen: { kind: 'node', id: edge.source }, path: null })}>{name(edge.source)}</Link> →{' '}
      <Link href={placed.to({ chosen: { kind: 'node', id: edge.target }, path: null })}>{name(edge.target)}</Link>
    </p>
  )
}

const TOUCHES_SHOWN = 8

/** The latest changes of this one. */
function Touches({ touches, placed, version }: { touches: readonly Touch[]; placed: Placed; version: number }) {
  const [all, setAll] = useState(false)
  if (touches.length === 0) return null
  const shown = all ? touches.slice(0, 200) : touches.slice(0, TOUCHES_SHOWN)
  return (
    <section>
      <h3>Changes of it</h3>
      <ol className="gp-touches">
        {shown.map((touch) => (
          <li key={touch.version} className={touch.version > version ? 'gp-later' : ''}>
            <Link href={placed.to({ at: touch.version })}>{v(touch.version)}</Link> <User id={touch.userId} />
            <span className="gp-touch-what">
              {(touch.changes ?? []).slice(0, 3).map(({ path, before, after }) => (
                <span key={path}>
                  {path === ''
                    ? before === null
                      ? 'made it'
                      : 'deleted it'
                    : `${path} ${shortValue(before, 24)} → ${shortValue(after, 24)}`}
                </span>
              ))}
            </span>
            <span className="quiet small-text">
              <Time at={touch.timestamp} />
            </span>
          </li>
        ))}
      </ol>
      {!all && touches.length > TOUCHES_SHOWN && (
        <button type="button" className="link" onClick={() => setAll(true)}>
          {touches.length - TOUCHES_SHOWN} more
        </button>
      )}
    </section>
  )
}

function Raw({ value }: { value: object }) {
  const [open, setOpen] = useState(false)
  return (
    <details className="gp-raw" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Raw JSON{open ? '' : ` (${size(value)})`}</summary>
      {open && (
        <>
          <CopyButton text={JSON.stringify(value, null, 2)} label="Copy the JSON">
            Copy
          </CopyButton>
          <JsonView value={value} open={2} />
        </>
      )}
    </details>
  )
}

function size(value: object): string {
  return bytes(JSON.stringify(value).length)
}
