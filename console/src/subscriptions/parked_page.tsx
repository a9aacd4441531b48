/** One subscription, and the commits that its consumers gave up, with the reason. Retry and drop are behind unlock. */
import { useRef, useState } from 'react'
import { Link } from 'wouter'
import { get } from '../shared/api.ts'
import { Figure } from '../shared/figure.tsx'
import { count, counted } from '../shared/format.ts'
import { seg, subscriptionsLink } from '../shared/links.ts'
import { LookFurther } from '../shared/look_further.tsx'
import { ProblemView, StaleNote } from '../shared/problem.tsx'
import { mayAll, useSession } from '../shared/session.ts'
import { duration, Time } from '../shared/time.tsx'
import { useTitle } from '../shared/title.ts'
import type { Parked, ParkedPage as ParkedAnswer, SubscriptionOverview } from '../shared/types.ts'
import { CopyButton, Empty, Loading } from '../shared/ui.tsx'
import { useUnlock } from '../shared/unlock.ts'
import { UnlockButton } from '../shared/unlock_button.tsx'
import { useLoad } from '../shared/use_load.ts'
import { usePages } from '../shared/use_pages.ts'
import { useSelection } from '../shared/use_selection.ts'
import { ParkedTable } from './parked_table.tsx'
import { SettleDialog } from './settle_dialog.tsx'
import { NeedsAdmin, Selects, State, startOf, waiting } from './subscriptions_page.tsx'
import './subscriptions.css'

const EVERY_MS = 5_000
const PAGE = 50

export function ParkedPage({ name }: { name: string }) {
  useTitle(`Subscription ${name}`)
  const admin = mayAll(useSession())
  if (!admin) return <NeedsAdmin what="Subscriptions concern all graphs at once." />
  return <Subscription key={name} name={name} />
}

function Subscription({ name }: { name: string }) {
  const scroller = useRef<HTMLElement>(null)
  const path = `subscriptions/${seg(name)}`
  const [unlocked, setUnlocked] = useUnlock(`subscription:${name}`)
  /** With the rows that were selected when it was opened: what was confirmed is what is done. */
  const [act, setAct] = useState<{ name: 'retry' | 'drop'; rows: readonly Parked[] } | null>(null)
  const overview = useLoad<SubscriptionOverview>(path, (signal) => get(path, { signal }), { every: EVERY_MS })
  const parked = usePages<Parked>({
    key: path,
    every: EVERY_MS,
    idOf: ({ deliveryId }) => deliveryId,
    load: async (cursor, signal) => {
      const page = await get<ParkedAnswer>(`${path}/parked`, { query: { limit: PAGE, cursor }, signal })
      return { items: page.parked, nextCursor: page.nextCursor }
    },
  })
  const rows = parked.items
  const [selected, setSelected] = useSelection(rows.map(({ deliveryId }) => deliveryId))
  const chosen = unlocked ? rows.filter(({ deliveryId }) => selected.has(deliveryId)) : []
  const reload = (): void => {
    setSelected(new Set())
    parked.reload()
    overview.reload()
  }
  return (
    <main className="page" ref={scroller}>
      <div className="page-head">
        <h1>
          <span className="crumb">
            <Link href={subscriptionsLink()}>Subscriptions</Link> /{' '}
          </span>
          {name}
        </h1>
        {overview.data !== undefined && <State one={overview.data} />}
        <span className="spread row">
          {rows.length > 0 && <UnlockButton unlocked={unlocked} setUnlocked={setUnlocked} />}
        </span>
      </div>
      {overview.error !== undefined &&
        (overview.data === undefined ? (
          <ProblemView error={overview.error} onRetry={reload} />
        ) : (
          <StaleNote error={overview.error} asOf={<Time at={overview.asOf!} exact />} onRetry={reload} />
        ))}
      {overview.data !== undefined && <Overview one={overview.data} />}
      {parked.error !== undefined && overview.error === undefined && (
        <ProblemView error={parked.error} onRetry={reload} />
      )}
      {parked.first && parked.error === undefined && <Loading what="what is parked" />}
      {overview.data !== undefined &&
        !parked.first &&
        rows.length === 0 &&
        !parked.more &&
        parked.error === undefined && (
          <Empty title="Nothing is parked">
            <p>
              A commit is parked when it was delivered {overview.data.maxAttempts} times without being acknowledged.
            </p>
          </Empty>
        )}
      {rows.length === 0 && <LookFurther list={parked} what="parked commits" />}
      {rows.length > 0 && (
        <section className="stack" aria-labelledby="parked">
          <div className="row">
            <h2 id="parked">Parked</h2>
            {unlocked && (
              <>
                <span className="quiet">{counted(chosen.length, 'commit')} selected</span>
                <button
                  type="button"
                  disabled={chosen.length === 0}
                  onClick={() => setAct({ name: 'retry', rows: chosen })}
                >
                  Retry…
                </button>
                <button
                  type="button"
                  className="danger-text"
                  disabled={chosen.length === 0}
                  onClick={() => setAct({ name: 'drop', rows: chosen })}
                >
                  Drop…
                </button>
              </>
            )}
          </div>
          <ParkedTable rows={rows} unlocked={unlocked} selected={selected} onSelect={setSelected} />
          {parked.more && (
            <button type="button" onClick={parked.loadMore} disabled={parked.loading}>
              {parked.loading ? 'Loading…' : 'Load more'}
            </button>
          )}
        </section>
      )}
      {act !== null && (
        <SettleDialog name={name} act={act.name} rows={act.rows} onClose={() => setAct(null)} onDone={reload} />
      )}
    </main>
  )
}

function Overview({ one }: { one: SubscriptionOverview }) {
  return (
    <section className="figures" aria-label="State">
      <Figure name="Waiting" value={waiting(one)} />
      <Figure name="In flight" value={count(one.inFlight)} />
      <Figure name="Parked" value={count(one.parked)} />
      <dl className="facts card panel">
        <dt>Selects</dt>
        <dd>
          <Selects one={one} />
        </dd>
        <dt>Began</dt>
        <dd>{startOf(one)}</dd>
        <dt>Lease</dt>
        <dd>{duration(one.leaseMs)}</dd>
        <dt>Attempts</dt>
        <dd>{one.maxAttempts}, then a commit is parked</dd>
        <dt>Position</dt>
        <dd>
          <code>{one.position}</code> <CopyButton text={one.position} label="Copy the position" />
        </dd>
      </dl>
    </section>
  )
}
