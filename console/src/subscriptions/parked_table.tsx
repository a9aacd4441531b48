import { Link } from 'wouter'
import { describe } from '../graph/describe.ts'
import { count } from '../shared/format.ts'
import { graphLink, operationLink } from '../shared/links.ts'
import { Time } from '../shared/time.tsx'
import type { Parked } from '../shared/types.ts'
import { User } from '../shared/ui.tsx'

interface Props {
  rows: readonly Parked[]
  unlocked: boolean
  selected: ReadonlySet<string>
  onSelect: (selected: ReadonlySet<string>) => void
}

export function ParkedTable({ rows, unlocked, selected, onSelect }: Props) {
  const all = rows.every(({ deliveryId }) => selected.has(deliveryId))
  const toggle = (deliveryId: string, on: boolean): void => {
    const after = new Set(selected)
    if (on) after.add(deliveryId)
    else after.delete(deliveryId)
    onSelect(after)
  }
  return (
    <div className="table-wrap card">
      <table className="table" aria-label="Parked commits">
        <thead>
          <tr>
            {unlocked && (
              <th>
                <input
                  type="checkbox"
                  aria-label="Select all that are shown"
                  checked={all}
                  onChange={(event) =>
                    onSelect(new Set(event.target.checked ? rows.map(({ deliveryId }) => deliveryId) : []))
                  }
                />
              </th>
            )}
            <th>Graph</th>
            <th className="number">Version</th>
            <th>Commit</th>
            <th>By</th>
            <th>Made</th>
            <th className="number">Attempts</th>
            <th>Reason</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.deliveryId}>
              {unlocked && (
                <td>
                  <input
                    type="checkbox"
                    aria-label={`Select v${row.version} of ${row.graphId}`}
                    checked={selected.has(row.deliveryId)}
                    onChange={(event) => toggle(row.deliveryId, event.target.checked)}
                  />
                </td>
              )}
              <td>
                <Link href={graphLink(row.graphId)}>
                  <code>{row.graphId}</code>
                </Link>
              </td>
              <td className="number">
                <Link href={graphLink(row.graphId, row.version)}>v{count(row.version)}</Link>
              </td>
              <td>
                <What row={row} />
              </td>
              <td>{row.commit !== null && <User id={row.commit.userId} />}</td>
              <td>{row.commit !== null && <Time at={row.commit.timestamp} />}</td>
              <td className="number">{row.attempts}</td>
              <td className="reason">{row.reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function What({ row: { commit, graphId } }: { row: Parked }) {
  if (commit === null) return <span className="danger-text">The history can't be read from here on</span>
  const text = describe(commit)
  if (commit.operationId === null) return text
  return <Link href={operationLink(commit.operationId, graphId, commit.version)}>{text}</Link>
}
