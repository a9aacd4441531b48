/** Activity: who did what, hour by hour or day by day (A6). */
import { useMemo, useState } from 'react'
import { count, hueOf } from '../../shared/format.ts'
import { ProblemView } from '../../shared/problem.tsx'
import { absolute, day } from '../../shared/time.tsx'
import { Empty, Loading, User } from '../../shared/ui.tsx'
import { useLoad } from '../../shared/use_load.ts'
import { type Counted, summary } from '../activity_summary.ts'
import { getActivity } from '../source.ts'

/** Pages of 2,000 counts that are added up. */
const PAGES_MAX = 5

export function Activity({ id, head }: { id: string; head: number }) {
  const [unit, setUnit] = useState<'hour' | 'day'>('hour')
  const loaded = useLoad(`activity ${id} ${Math.floor(head / 20)}`, async (signal) => {
    const counts: Counted[] = []
    let cursor: string | null = null
    let version = 0
    for (let page = 0; page < PAGES_MAX; page++) {
      const answer = await getActivity(id, cursor, signal)
      counts.push(...answer.activity)
      version = answer.version ?? 0
      cursor = answer.nextCursor
      if (cursor === null) break
    }
    return { counts, version, isWhole: cursor === null }
  })
  const { data } = loaded
  const sums = useMemo(() => summary(data?.counts ?? [], unit), [data, unit])
  if (data === undefined) {
    return loaded.error === undefined ? (
      <Loading what="activity" />
    ) : (
      <ProblemView error={loaded.error} onRetry={loaded.reload} />
    )
  }
  if (data.counts.length === 0) return <Empty title="Nothing was counted yet" />
  const most = Math.max(1, ...sums.times.map(({ events }) => events))
  const shown = sums.times.slice(-48)
  return (
    <div className="gp-activity">
      <div className="row">
        {(['hour', 'day'] as const).map((one) => (
          <button key={one} type="button" aria-pressed={unit === one} onClick={() => setUnit(one)}>
            per {one}
          </button>
        ))}
        <span className="quiet small-text">
          {count(sums.events)} events up to v{count(data.version)}
          {!data.isWhole && ', the earliest ones'}
        </span>
      </div>
      <table className="gp-people">
        <caption className="hidden">Events by user</caption>
        <thead>
          <tr>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col" className="number">
              Events
            </th>
          </tr>
        </thead>
        <tbody>
          {sums.people.map(({ userId, events, types }) => (
            <tr key={userId}>
              <td>
                <User id={userId} />
              </td>
              <td className="small-text">
                {types.slice(0, 4).map(({ type, events }) => (
                  <span key={type} className="gp-count">
                    {type} {count(events)}
                  </span>
                ))}
              </td>
              <td className="number">{count(events)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>When</h2>
      <table className="gp-times">
        <caption className="hidden">Events by {unit}</caption>
        <thead className="hidden">
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Events by user</th>
            <th scope="col">Events</th>
          </tr>
        </thead>
        <tbody>
          {[...shown].reverse().map(({ at, events, users }) => (
            <tr key={at}>
              <th scope="row" className="small-text">
                {unit === 'day' ? day(at) : absolute(at).slice(0, -3)}
              </th>
              <td>
                <svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={names(users)}>
                  <Stack users={users} most={most} />
                </svg>
              </td>
              <td className="number">{count(events)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {sums.times.length > shown.length && (
        <p className="quiet small-text">
          The latest {shown.length} of {count(sums.times.length)}.
        </p>
      )}
    </div>
  )
}

type Users = readonly { readonly userId: string; readonly events: number }[]

function names(users: Users): string {
  return users.map(({ userId, events }) => `${userId} ${events}`).join(', ')
}

function Stack({ users, most }: { users: Users; most: number }) {
  let x = 0
  return (
    <>
      {users.map(({ userId, events }) => {
        const from = x
        x += (events / most) * 100
        const style = { '--hue': hueOf(userId) } as React.CSSProperties
        return <rect key={userId} className="gp-stack" x={from} width={x - from} height={8} style={style} />
      })}
    </>
  )
}
