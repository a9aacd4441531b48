/** The list of graphs as a table. */
import type { RefObject } from 'react'
import { Link } from 'wouter'
import { count } from '../shared/format.ts'
import { graphLink } from '../shared/links.ts'
import { Time } from '../shared/time.tsx'
import { attributesOf, type GraphRow } from '../shared/types.ts'
import { Menu, type MenuItem, Status, Tag, User } from '../shared/ui.tsx'
import { VirtualRows } from '../shared/virtual_rows.tsx'

const ROW = 64

interface Props {
  rows: readonly GraphRow[]
  scroller: RefObject<HTMLElement | null>
  /** Who follows each graph; null if that is not known. */
  here: ReadonlyMap<string, readonly string[]> | null
  unlocked: boolean
  selected: ReadonlySet<string>
  onSelect: (graphId: string, on: boolean) => void
  onTag: (tag: string) => void
  menuOf: (row: GraphRow) => readonly MenuItem[]
  onEnd: () => void
}

export function GraphTable(props: Props) {
  const { rows, scroller, here, unlocked, onEnd } = props
  return (
    <div className="table-wrap card">
      <table className="table fixed graphs" aria-label="Graphs" aria-rowcount={rows.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {unlocked && (
              <th className="col-select">
                <span className="hidden">Selected</span>
              </th>
            )}
            <th className="col-name">Graph</th>
            <th className="col-version number">Version</th>
            <th className="col-size number">Nodes / edges</th>
            <th className="col-changed">Last change</th>
            <th className="col-published">Published</th>
            {here !== null && (
              <th className="col-here" title="Who follows it on this server">
                Here now
              </th>
            )}
            <th className="col-menu">
              <span className="hidden">Acts</span>
            </th>
          </tr>
        </thead>
        <VirtualRows
          items={rows}
          idOf={(row) => row.graphId}
          height={ROW}
          scroller={scroller}
          onEnd={onEnd}
          row={(row, index) => <Row key={row.graphId} {...props} row={row} index={index} />}
        />
      </table>
    </div>
  )
}

function Row(props: Props & { row: GraphRow; index: number }) {
  const { row, index, here, unlocked, selected, onSelect, onTag, menuOf } = props
  const name = attributesOf(row).title ?? row.graphId
  return (
    <tr className={row.trashed === undefined ? '' : 'in-trash'} aria-rowindex={index}>
      {unlocked && (
        <td>
          <input
            type="checkbox"
            aria-label={`Select ${name}`}
            checked={selected.has(row.graphId)}
            onChange={(event) => onSelect(row.graphId, event.target.checked)}
          />
        </td>
      )}
      <td>
        <Name row={row} name={name} onTag={onTag} />
      </td>
      <td className="number">v{count(row.version)}</td>
      <td className="number">
        {count(row.nodes)} <span className="quiet">/ {count(row.edges)}</span>
      </td>
      <td>
        <span className="graph-changed">
          <Time at={row.updatedAt} />
          <User id={row.updatedBy} />
        </span>
      </td>
      <td>
        <Published row={row} />
      </td>
      {here !== null && (
        <td>
          <Here users={here.get(row.graphId) ?? []} />
        </td>
      )}
      <td className="number">
        <Menu label={`What to do with ${name}`} items={menuOf(row)} />
      </td>
    </tr>
  )
}

function Name({ row, name, onTag }: { row: GraphRow; name: string; onTag: (tag: string) => void }) {
  const { tags } = attributesOf(row)
  return (
    <span className="graph-name">
      <Link href={graphLink(row.graphId)} className="graph-title">
        {name}
      </Link>
      <span className="graph-sub">
        {name !== row.graphId && <code>{row.graphId}</code>}
        {row.trashed !== undefined && <Status tone="warn">In the trash</Status>}
        {tags.slice(0, 4).map((tag) => (
          <Tag key={tag} onClick={() => onTag(tag)} title={`Only graphs with the tag ${tag}`}>
            {tag}
          </Tag>
        ))}
        {tags.length > 4 && <span>+{tags.length - 4}</span>}
      </span>
    </span>
  )
}

/** The label `published`, and whether there is newer content (L13); else how many labels there are. */
function Published({ row }: { row: GraphRow }) {
  const label = row.labels.published
  const others = Object.keys(row.labels).length
  if (label === undefined)
    return (
      <span className="quiet small-text">{others === 0 ? '' : `${others} ${others === 1 ? 'label' : 'labels'}`}</span>
    )
  const newer = row.contentVersion - label.version
  return (
    <Link href={graphLink(row.graphId, 'published')} className="plain" title={label.note}>
      {newer > 0 ? (
        <Status tone="info">
          v{count(label.version)}, {count(newer)} behind
        </Status>
      ) : (
        <Status tone="ok">v{count(label.version)}</Status>
      )}
    </Link>
  )
}

function Here({ users }: { users: readonly string[] }) {
  if (users.length === 0) return null
  return (
    <span className="graph-here">
      {users.slice(0, 3).map((user) => (
        <User key={user} id={user} nameless />
      ))}
      {users.length > 3 && <span className="small-text">+{users.length - 3}</span>}
    </span>
  )
}
