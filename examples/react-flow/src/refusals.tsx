/** Edits that did not go through: what you wanted, what stands now, and one click for either. */
import type { Conflict, Json, Refusal } from '@dao-api/client'
import { useRefusals } from '@dao-api/react-flow'
import { useState } from 'react'
import type { Flow } from './actions.ts'
import { nameOf } from './model.ts'

function shown(value: Json | undefined): string {
  if (value === undefined || value === null) return '—'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

const named = (userId: string): string => userId.charAt(0).toUpperCase() + userId.slice(1)

/** The SDK's sentence names ids. Here the values stand below it, so it only says who. */
function heading({ conflicts, summary }: Refusal): string {
  const by = conflicts[0]?.by
  return by === undefined ? summary : `Your change was not saved: ${named(by)} was first.`
}

function Compared({ conflict, flow }: { conflict: Conflict; flow: Flow }) {
  const { id = '', path = '', yours, current, by } = conflict
  const what = nameOf(flow.graph.node(id)?.data) ?? conflict.entity
  const field = path.split('/').pop() || 'node'
  return (
    <dl>
      <dt>
        {field} of “{what}”
      </dt>
      <dd>
        <span>Yours</span>
        <q className="yours">{shown(yours)}</q>
      </dd>
      <dd>
        <span>{by ? `${named(by)}’s` : 'Now'}</span>
        <q className="theirs">{shown(current)}</q>
      </dd>
    </dl>
  )
}

const SHOWN_MAX = 3

export function Refusals({ flow }: { flow: Flow }) {
  const [open, setOpen] = useState<readonly Refusal[]>([])
  useRefusals(flow, (refusal) => setOpen((now) => [...now, refusal]))
  const close = (refusal: Refusal): void => setOpen((now) => now.filter((other) => other !== refusal))
  return (
    <section className="refusals" aria-live="polite" aria-label="Conflicts">
      {open.slice(-SHOWN_MAX).map((refusal) => {
        const compared = refusal.conflicts.filter(({ path }) => path)
        return (
          <article key={refusal.operationId} className="toast card">
            <h3>{heading(refusal)}</h3>
            {compared.slice(0, 2).map((conflict) => (
              <Compared key={`${conflict.id}${conflict.path}`} conflict={conflict} flow={flow} />
            ))}
            <footer>
              {refusal.conflicts.length > 0 && (
                <button
                  type="button"
                  className="primary"
                  onClick={() => {
                    refusal.retry('overwrite')
                    close(refusal)
                  }}
                >
                  Use mine
                </button>
              )}
              <button
                type="button"
                onClick={() => {
                  refusal.discard()
                  close(refusal)
                }}
              >
                {refusal.conflicts.length > 0 ? 'Keep theirs' : 'Close'}
              </button>
            </footer>
          </article>
        )
      })}
    </section>
  )
}
