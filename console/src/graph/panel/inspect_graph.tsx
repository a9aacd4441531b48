/** Inspect with nothing chosen: the graph itself, and the commit that is shown. */
import { useState } from 'react'
import { Link } from 'wouter'
import { counted, shortId } from '../../shared/format.ts'
import { JsonView } from '../../shared/json_view.tsx'
import { compareLink, graphLink, operationLink } from '../../shared/links.ts'
import { Time } from '../../shared/time.tsx'
import { attributesOf } from '../../shared/types.ts'
import { CopyButton, Tag, User } from '../../shared/ui.tsx'
import { zone } from '../../shared/when.ts'
import { describe } from '../describe.ts'
import type { Placed } from '../place.ts'
import { v } from '../text.ts'
import type { Commit, GraphRow } from '../wire_types.ts'

export function InspectGraph({
  row,
  placed,
  commit,
  version,
  counts,
  attributes,
  name,
}: {
  row: GraphRow
  placed: Placed
  commit: Commit | null
  version: number
  counts: { nodes: number; edges: number }
  attributes: Readonly<Record<string, unknown>>
  name: (id: string) => string
}) {
  const { description, tags, owner } = attributesOf({ attributes })
  const labels = Object.entries(row.labels).filter(([, label]) => label.version === version)
  return (
    <div className="gp-inspect">
      {commit !== null && <CommitCard commit={commit} placed={placed} name={name} />}
      {description !== undefined && <p className="gp-description">{description}</p>}
      <dl className="gp-facts">
        <dt>Contents</dt>
        <dd>
          {counted(counts.nodes, 'node')}, {counted(counts.edges, 'edge')}
        </dd>
        {labels.length > 0 && (
          <>
            <dt>Labels</dt>
            <dd>
              {labels.map(([name, { note, by, at }]) => (
                <span key={name}>
                  ⚑ {name} {note !== undefined && `“${note}” `}
                  <span className="quiet small-text">
                    by {by} <Time at={at} />
                  </span>
                </span>
              ))}
            </dd>
          </>
        )}
        {owner !== undefined && (
          <>
            <dt>Owner</dt>
            <dd>{owner}</dd>
          </>
        )}
        {tags.length > 0 && (
          <>
            <dt>Tags</dt>
            <dd className="row">
              {tags.map((tag) => (
                <Tag key={tag}>{tag}</Tag>
              ))}
            </dd>
          </>
        )}
        <dt>Created</dt>
        <dd>
          <Time at={row.createdAt} /> by {row.createdBy}
        </dd>
        {row.forkedFrom !== undefined && (
          <>
            <dt>Copied from</dt>
            <dd>
              <Link href={graphLink(row.forkedFrom.graphId, row.forkedFrom.version)}>
                {row.forkedFrom.graphId} {v(row.forkedFrom.version)}
              </Link>
            </dd>
          </>
        )}
        <dt>Hash of {v(row.version)}</dt>
        <dd>
          <code title={row.hash}>{shortId(row.hash, 12)}</code>{' '}
          <CopyButton text={`${row.version}:${row.hash}`} label="Copy version and hash" />
        </dd>
      </dl>
      {Object.keys(attributes).length > 0 && (
        <details>
          <summary>All attributes</summary>
          <JsonView value={attributes} />
        </details>
      )}
      <p className="quiet small-text">Choose a node or an edge to see who wrote each of its fields.</p>
    </div>
  )
}

function CommitCard({ commit, placed, name }: { commit: Commit; placed: Placed; name: (id: string) => string }) {
  const { version, userId, timestamp, commandType, outcome, operationId } = commit
  const [open, setOpen] = useState(false)
  return (
    <section className="gp-commit" aria-label={`Commit ${v(version)}`}>
      <h2>
        {v(version)} <User id={userId} />
      </h2>
      <p>{describe(commit, name)}</p>
      <p className="quiet small-text">
        <Time at={timestamp} exact /> {zone(timestamp)} · {commandType} · {outcome} ·{' '}
        {operationId !== null && <Link href={operationLink(operationId, placed.place.id, version)}>operation</Link>}
        {version > 1 && (
          <>
            {' '}
            · <Link href={compareLink(placed.place.id, version - 1, version)}>compare with {v(version - 1)}</Link>
          </>
        )}
      </p>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{counted(commit.events.length, 'event')}</summary>
        {open && <JsonView value={commit.events} open={1} />}
      </details>
    </section>
  )
}
