/** All named subscriptions: whether consumers keep up, and what they gave up (S5 to S8). Nothing is leased by looking. */
import { Link } from 'wouter'
import { ApiError, get } from '../shared/api.ts'
import { count, counted } from '../shared/format.ts'
import { parkedLink, seg, subscriptionLink } from '../shared/links.ts'
import { ProblemView, StaleNote } from '../shared/problem.tsx'
import { mayAll, useSession } from '../shared/session.ts'
import { Time } from '../shared/time.tsx'
import { useTitle } from '../shared/title.ts'
import type { SubscriptionNames, SubscriptionOverview } from '../shared/types.ts'
import { Empty, Loading, Status } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'

const EVERY_MS = 5_000
const AT_ONCE = 4
/** How many are asked for; the names of the others are listed. */
const MOST = 200

interface All {
  names: readonly string[]
  overviews: readonly SubscriptionOverview[]
}

export function SubscriptionsPage() {
  useTitle('Subscriptions')
  const admin = mayAll(useSession())
  const { data, error, asOf, reload } = useLoad<All>('subscriptions', load, { every: EVERY_MS, when: admin })
  if (!admin) return <NeedsAdmin what="Subscriptions concern all graphs at once." />
  return (
    <main className="page">
      <div className="page-head">
        <h1>Subscriptions</h1>
        <span className="sub" role="status">
          {data !== undefined && asOf !== undefined && (
            <>
              {counted(data.names.length, 'subscription')}, as of <Time at={asOf} />
            </>
          )}
        </span>
      </div>
      {error !== undefined &&
        (data === undefined ? (
          <ProblemView error={error} onRetry={reload} />
        ) : (
          <StaleNote error={error} asOf={<Time at={asOf!} exact />} onRetry={reload} />
        ))}
      {data === undefined && error === undefined && <Loading what="subscriptions" />}
      {data !== undefined && data.names.length === 0 && (
        <Empty title="There are no subscriptions">
          <p>
            A subscription hands the commits of all graphs to consumers that share the work. A consumer makes it with{' '}
            <code>PUT /subscriptions/mailer</code>.
          </p>
        </Empty>
      )}
      {data !== undefined && data.overviews.length > 0 && (
        <div className={`table-wrap card ${error === undefined ? '' : 'is-stale'}`}>
          <table className="table" aria-label="Subscriptions">
            <thead>
              <tr>
                <th>Name</th>
                <th>State</th>
                <th className="number">Waiting</th>
                <th className="number">In flight</th>
                <th className="number">Parked</th>
                <th>Selects</th>
                <th>Begins</th>
                <th className="number">Attempts</th>
              </tr>
            </thead>
            <tbody>
              {data.overviews.map((one) => (
                <Row key={one.name} one={one} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {data !== undefined && data.names.length > data.overviews.length && (
        <p className="quiet">
          The first {count(data.overviews.length)} of {count(data.names.length)} are shown. Open another one by its
          address.
        </p>
      )}
    </main>
  )
}

export function NeedsAdmin({ what }: { what: string }) {
  return (
    <main className="page">
      <h1 className="hidden">Subscriptions</h1>
      <Empty title="You may not see this">
        <p>
          {what} You need <code>admin</code> on <code>*</code>: ask whoever issues your tokens.
        </p>
      </Empty>
    </main>
  )
}

/** Exported for tests. */
export async function load(signal: AbortSignal): Promise<All> {
  const { subscriptions: listed } = await get<SubscriptionNames>('subscriptions', { signal })
  const left = listed.slice(0, MOST)
  /** Deleted since the list was made. */
  const gone = new Set<string>()
  const found: SubscriptionOverview[] = []
  const work = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift())
      try {
        found.push(await get<SubscriptionOverview>(`subscriptions/${seg(name)}`, { signal }))
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) gone.add(name)
        else {
          left.length = 0
          throw error
        }
      }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  const names = listed.filter((name) => !gone.has(name))
  return { names, overviews: found.sort((a, b) => (a.name < b.name ? -1 : 1)) }
}

function Row({ one }: { one: SubscriptionOverview }) {
  return (
    <tr>
      <td>
        <Link href={subscriptionLink(one.name)}>
          <strong>{one.name}</strong>
        </Link>
      </td>
      <td>
        <State one={one} />
      </td>
      <td className="number">{waiting(one)}</td>
      <td className="number">{count(one.inFlight)}</td>
      <td className="number">
        {one.parked > 0 ? (
          <Link href={parkedLink(one.name)}>{count(one.parked)}</Link>
        ) : (
          <span className="quiet">0</span>
        )}
      </td>
      <td>
        <Selects one={one} />
      </td>
      <td>{startOf(one)}</td>
      <td className="number">{one.maxAttempts}</td>
    </tr>
  )
}

const MOST_COUNTED = 100_000

export function waiting({ lagCommits }: Pick<SubscriptionOverview, 'lagCommits'>): string {
  if (lagCommits === null) return 'unknown'
  return lagCommits >= MOST_COUNTED ? `${count(MOST_COUNTED)} or more` : count(lagCommits)
}

export function State({ one }: { one: SubscriptionOverview }) {
  if (one.parked > 0) return <Status tone="bad">{counted(one.parked, 'commit')} parked</Status>
  if (one.lagCommits === null) return <Status tone="warn">Behind the feed</Status>
  if (one.lagCommits > 0 && one.inFlight === 0) return <Status tone="warn">Waiting for a consumer</Status>
  if (one.lagCommits > 0 || one.inFlight > 0) return <Status tone="info">Working</Status>
  return <Status tone="ok">Caught up</Status>
}

export function Selects({ one: { filter } }: { one: SubscriptionOverview }) {
  const parts = [
    ['graphs', filter.graphs],
    ['types', filter.types],
    ['users', filter.users],
  ] as const
  const given = parts.filter(([, list]) => (list?.length ?? 0) > 0)
  if (given.length === 0) return <span className="quiet">everything</span>
  return (
    <>
      {given.map(([name, list]) => (
        <span key={name} className="selects">
          <span className="quiet">{name}</span> <code>{list!.join(', ')}</code>
        </span>
      ))}
    </>
  )
}

export const startOf = ({ start }: SubscriptionOverview): string =>
  start === 'now' ? 'when it was made' : start === 'beginning' ? 'at the beginning' : 'at a position'
