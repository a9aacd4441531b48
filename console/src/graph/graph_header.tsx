/** Title, where in time, who is here, and what one may do. */
import type { Status } from '@dao-api/client'
import { type FormEvent, useMemo, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { useClient } from '../shared/client.ts'
import { count } from '../shared/format.ts'
import { compareLink, graphsLink } from '../shared/links.ts'
import { useSession } from '../shared/session.ts'
import { attributesOf } from '../shared/types.ts'
import { Status as Badge, CopyButton, Menu, type MenuItem, User } from '../shared/ui.tsx'
import { useUnlock } from '../shared/unlock.ts'
import { useLoad } from '../shared/use_load.ts'
import { addressOf, exactly, type Named, namedBy } from '../shared/when.ts'
import type { LabelMark } from './histogram.ts'
import type { Placed } from './place.ts'
import { getPresence } from './source.ts'
import { v } from './text.ts'
import { whyLocked } from './why_locked.ts'
import type { GraphRow } from './wire_types.ts'

interface HeaderProps {
  id: string
  row: GraphRow | undefined
  placed: Placed
  /** The version that is shown. */
  version: number
  head: number
  isHead: boolean
  /** The address names nothing that is there. */
  isUnknown: boolean
  status: Status
  marks: readonly LabelMark[]
  menu: readonly MenuItem[]
}

export function GraphHeader({ id, row, placed, version, head, isHead, isUnknown, status, marks, menu }: HeaderProps) {
  const [, navigate] = useLocation()
  const title = row === undefined ? undefined : attributesOf(row).title
  const compareWith = isHead ? (marks[marks.length - 1]?.name ?? String(Math.max(0, head - 1))) : String(version)
  return (
    <header className="gp-head">
      <nav aria-label="Graphs">
        <Link href={graphsLink()} className="gp-up">
          Graphs
        </Link>
        <span aria-hidden="true" className="quiet">
          {' / '}
        </span>
      </nav>
      <h1>{title ?? id}</h1>
      {title !== undefined && <code className="quiet">{id}</code>}
      <CopyButton text={id} label="Copy the id" />
      <AtPicker placed={placed} version={version} head={head} isHead={isHead} isUnknown={isUnknown} marks={marks} />
      <LiveBadge status={status} head={head} isTrashed={row?.trashed !== undefined} />
      <Here id={id} />
      <span className="gp-grow" />
      <UnlockButton id={id} row={row} />
      <button type="button" onClick={() => navigate(compareLink(id, compareWith, 'head'))}>
        Compare
      </button>
      <Menu label="More" items={menu} />
    </header>
  )
}

function AtPicker({
  placed,
  version,
  head,
  isHead,
  isUnknown,
  marks,
}: Pick<HeaderProps, 'placed' | 'version' | 'head' | 'isHead' | 'isUnknown' | 'marks'>) {
  const [text, setText] = useState('')
  const { go, place } = placed
  const names = useMemo(() => marks.map(({ name }) => name), [marks])
  const meant = namedBy(text, names, Date.now())
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    const meant = namedBy(text, names, Date.now())
    if (meant === null) return
    go({ at: meant.kind === 'head' ? null : addressOf(meant) })
    setText('')
    document.getElementById('gp-at')?.hidePopover()
  }
  const named = place.at !== null && !/^\d/.test(place.at) ? place.at : null
  return (
    <>
      <button type="button" className="gp-at-button" popoverTarget="gp-at">
        <span aria-hidden="true">@</span>{' '}
        {isUnknown ? place.at : isHead ? 'now' : (named ?? (version === 0 ? 'before v1' : v(version)))}
        {named !== null && !isHead && !isUnknown && <span className="quiet"> {v(version)}</span>}{' '}
        <span aria-hidden="true">▾</span>
      </button>
      <section id="gp-at" popover="auto" className="gp-at" aria-label="Version">
        <button type="button" className="menu-item" onClick={() => choose(() => go({ at: null }))}>
          now <span className="quiet">{v(head)}, live</span>
        </button>
        {[...marks].reverse().map(({ name, version: of }) => (
          <button key={name} type="button" className="menu-item" onClick={() => choose(() => go({ at: name }))}>
            ⚑ {name} <span className="quiet">{v(of)}</span>
          </button>
        ))}
        <form onSubmit={submit}>
          <label className="field">
            <span>Version, label or time</span>
            <input
              value={text}
              onChange={(event) => setText(event.target.value)}
              placeholder="yesterday"
              aria-describedby="gp-at-meant"
              spellCheck={false}
            />
          </label>
          <button type="submit">Go</button>
          <small id="gp-at-meant" className="gp-at-meant quiet" role="status">
            {meant === null ? (
              <>
                1470, published, yesterday, 2 hours ago, 2026-11-30, 2026-11-30 10:30. Times are local; a date is the
                end of that day.
              </>
            ) : (
              meantWords(meant, names)
            )}
          </small>
        </form>
      </section>
    </>
  )
}

/** What is about to be opened. */
function meantWords(meant: Named, labels: readonly string[]): string {
  switch (meant.kind) {
    case 'head':
      return 'The graph as it is now.'
    case 'version':
      return `Version ${v(meant.version)}.`
    case 'time':
      return `As it was on ${exactly(meant.at)}.`
    case 'label':
      return labels.includes(meant.name) ? `The label ${meant.name}.` : `There is no label ${meant.name}.`
  }
}

function choose(act: () => void): void {
  act()
  document.getElementById('gp-at')?.hidePopover()
}

function LiveBadge({ status, head, isTrashed }: { status: Status; head: number; isTrashed: boolean }) {
  if (isTrashed) return <Badge tone="bad">in the trash</Badge>
  switch (status.connection) {
    case 'live':
      return <Badge tone="ok">live {v(head)}</Badge>
    case 'connecting':
      return <Badge tone="quiet">connecting</Badge>
    case 'needs-auth':
      return <Badge tone="bad">sign in again</Badge>
    case 'closed':
      return <Badge tone="quiet">paused</Badge>
    case 'offline':
      return <Badge tone="warn">offline, as of {v(head)}</Badge>
  }
}

const HERE_MAX = 5

/** Who follows the graph, this page left out. */
function Here({ id }: { id: string }) {
  const client = useClient()
  const { data } = useLoad(`presence ${id}`, (signal) => getPresence(id, signal), { every: 10_000 })
  const users = [
    ...new Set(
      (data?.clients ?? []).filter(({ clientId }) => clientId !== client?.clientId).map(({ userId }) => userId),
    ),
  ]
  if (users.length === 0) return null
  return (
    <ul className="gp-here" aria-label="Here now">
      {users.slice(0, HERE_MAX).map((user) => (
        <li key={user}>
          <User id={user} nameless={users.length > 2} />
        </li>
      ))}
      {users.length > HERE_MAX && <li className="quiet">+{count(users.length - HERE_MAX)}</li>}
    </ul>
  )
}

export function UnlockButton({ id, row }: { id: string; row: GraphRow | undefined }) {
  const [isOpen, setOpen] = useUnlock(id)
  const { mode, userId } = useSession()
  const why = whyLocked(row)
  const who = mode === 'bearer' ? '' : ` as ${userId}`
  return (
    <button
      type="button"
      className={isOpen ? 'gp-unlocked' : ''}
      aria-pressed={isOpen}
      disabled={why !== null && !isOpen}
      title={why ?? (isOpen ? 'Nothing can be changed by accident after that' : `Allow changes in this tab${who}`)}
      onClick={() => setOpen(!isOpen)}
    >
      {isOpen ? 'Lock' : 'Unlock editing'}
    </button>
  )
}
