/** What was written, in a corner: each with its operation id and a link to it (K2). */
import { type ReactNode, useSyncExternalStore } from 'react'
import { Link } from 'wouter'
import { shortId } from './format.ts'
import { goesLater } from './goes_later.ts'
import { operationLink } from './links.ts'
import { CopyButton } from './ui.tsx'

export interface Notice {
  text: ReactNode
  /** Of the write that it tells of. */
  operationId?: string
  graphId?: string
  tone?: 'ok' | 'bad'
}

interface Shown extends Notice {
  key: number
}

const LONGEST = 4

let shown: readonly Shown[] = []
let next = 0
const listeners = new Set<() => void>()

function set(list: readonly Shown[]): void {
  shown = list
  for (const listener of listeners) listener()
}

export function notify(notice: Notice): void {
  const key = next++
  set([...shown.slice(1 - LONGEST), { ...notice, key }])
  if (notice.tone !== 'bad') goesLater('.notices', () => dismiss(key))
}

function dismiss(key: number): void {
  set(shown.filter((one) => one.key !== key))
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function Notices() {
  const list = useSyncExternalStore(subscribe, () => shown)
  return (
    <section className="notices" aria-label="What was written" aria-live="polite">
      {list.map((notice) => (
        <div key={notice.key} className={`notice card ${notice.tone === 'bad' ? 'notice-bad' : ''}`}>
          <div>
            <div>{notice.text}</div>
            {notice.operationId !== undefined && (
              <div className="small-text quiet">
                Operation{' '}
                <Link href={operationLink(notice.operationId, notice.graphId)}>
                  <code>{shortId(notice.operationId, 13)}</code>
                </Link>{' '}
                <CopyButton text={notice.operationId} label="Copy the operation id" />
              </div>
            )}
          </div>
          <button type="button" className="icon small" aria-label="Dismiss" onClick={() => dismiss(notice.key)}>
            ✕
          </button>
        </div>
      ))}
    </section>
  )
}
