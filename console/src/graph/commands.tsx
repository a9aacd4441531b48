/** Writes: each shows its operation id and a link to it (K2). */
import type { Graph } from '@dao-api/client'
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react'
import { Link } from 'wouter'
import type { ApiError } from '../shared/api.ts'
import { shortId } from '../shared/format.ts'
import { command } from '../shared/graph_writes.ts'
import { operationLink } from '../shared/links.ts'
import { useUnlock } from '../shared/unlock.ts'
import { useWrite } from '../shared/use_write.ts'
import { v } from './text.ts'
import { whenSettled } from './when_settled.ts'

interface Receipt {
  readonly operationId: string
  readonly text: string
  readonly tone: 'ok' | 'bad'
  readonly act?: { readonly label: string; readonly run: () => void } | undefined
}

interface Receipts {
  readonly list: readonly Receipt[]
  add: (receipt: Receipt) => void
  remove: (operationId: string) => void
}

const RECEIPTS_MAX = 4
const Context = createContext<Receipts>({ list: [], add: () => undefined, remove: () => undefined })

export function ReceiptsProvider({ children }: { children: ReactNode }) {
  const [list, setList] = useState<readonly Receipt[]>([])
  const add = useCallback((receipt: Receipt) => {
    setList((now) => [...now.filter((one) => one.operationId !== receipt.operationId), receipt].slice(-RECEIPTS_MAX))
  }, [])
  const remove = useCallback((id: string) => setList((now) => now.filter((one) => one.operationId !== id)), [])
  const value = useMemo(() => ({ list, add, remove }), [list, add, remove])
  return <Context value={value}>{children}</Context>
}

/** The latest writes of this page. */
export function ReceiptList({ id }: { id: string }) {
  const { list, remove } = useContext(Context)
  const [isUnlocked] = useUnlock(id)
  return (
    <div className="gp-receipts" role="status" aria-live="polite">
      {list.map(({ operationId, text, tone, act }) => (
        <p key={operationId} className={`gp-receipt gp-receipt-${tone}`}>
          <span aria-hidden="true">{tone === 'ok' ? '✓' : '✕'}</span>
          <span className="gp-receipt-text">{text}</span>
          <Link href={operationLink(operationId, id)} title={operationId}>
            operation {shortId(operationId)}
          </Link>
          {act !== undefined && isUnlocked && (
            <button type="button" className="link" onClick={act.run}>
              {act.label}
            </button>
          )}
          <button type="button" className="icon small" aria-label="Dismiss" onClick={() => remove(operationId)}>
            ✕
          </button>
        </p>
      ))}
    </div>
  )
}

interface Commands {
  /** Sends one command. A failure is thrown and shown, and the same call again is safe: it has the same id. */
  run: (type: string, payload: object, did: string) => Promise<void>
  readonly error: ApiError | undefined
}

/** One command of a dialog: sent again after a failure, it is the same operation (C3). */
export function useCommand(id: string): Commands {
  const { add } = useContext(Context)
  const { run, error } = useWrite()
  return {
    run: (type, payload, did) =>
      run(
        async (operationId) => {
          const { outcome, version } = await command(id, type, payload, operationId)
          const text = outcome === 'unchanged' ? `${did}: nothing to do` : `${did} in ${v(version)}`
          add({ operationId, text, tone: 'ok' })
        },
        `${type} ${JSON.stringify(payload)}`,
      ),
    error,
  }
}

/** Shows what becomes of edits on the canvas, also of those that are on their way when editing ends. */
export function useEditReceipts(graph: Graph | null): void {
  const { add, remove } = useContext(Context)
  useEffect(() => {
    if (graph === null) return
    const stopSettled = graph.on('settled', ({ operationId, outcome }) => {
      const text = outcome.outcome === 'unchanged' ? 'Nothing to do' : `Saved in ${v(outcome.version)}`
      add({
        operationId,
        text: outcome.outcome === 'merged' ? `${text}, merged with others’ changes` : text,
        tone: 'ok',
      })
    })
    const stopRefused = graph.on('refused', (refusal) => {
      if (refusal.cause !== undefined) return
      const { operationId, summary: text } = refusal
      const run = (): void => {
        try {
          refusal.retry('overwrite')
          remove(operationId)
        } catch {
          // The graph was closed since: its client can't send it any more.
          add({ operationId, text: `${text} It can’t be sent again from here: edit it again.`, tone: 'bad' })
        }
      }
      add({ operationId, text, tone: 'bad', act: { label: 'Overwrite', run } })
    })
    const stop = (): void => {
      stopSettled()
      stopRefused()
    }
    return () => whenSettled(graph, stop)
  }, [graph, add, remove])
}
