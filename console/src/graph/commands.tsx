/** Writes: each shows its operation id and a link to it (K2). */
import type { Graph } from '@dao-api/client'
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react'
import { Link } from 'wouter'
import { type ApiError, newOperationId, send } from '../shared/api.ts'
import { short } from '../shared/format.ts'
import { operationLink } from '../shared/links.ts'
import { useUnlock } from '../shared/unlock.ts'
import { asApiError } from '../shared/use_load.ts'
import { graphPath } from './source.ts'
import { v } from './text.ts'
import { whenSettled } from './when_settled.ts'
import type { Accepted } from './wire_types.ts'

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
            operation {short(operationId)}
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
  /** Sends one command. A failure is thrown as an `ApiError`, and the same call again is safe: it has the same id. */
  run: (type: string, payload: object, did: string) => Promise<Accepted>
  readonly error: ApiError | null
  readonly busy: boolean
  clear: () => void
}

/** One command of a dialog: sent again after a failure, it is the same operation (C3). */
export function useCommand(id: string): Commands {
  const { add } = useContext(Context)
  const [error, setError] = useState<ApiError | null>(null)
  const [busy, setBusy] = useState(false)
  const [operation, setOperation] = useState<{ key: string; id: string } | null>(null)
  const run = useCallback(
    async (type: string, payload: object, did: string): Promise<Accepted> => {
      const key = `${type} ${JSON.stringify(payload)}`
      // A final refusal used up its id; everything else is sent again under the same one.
      const isSame = operation?.key === key && error !== null && ![404, 409, 422].includes(error.status)
      const operationId = isSame ? operation.id : newOperationId()
      setOperation({ key, id: operationId })
      setBusy(true)
      setError(null)
      try {
        const body = { type, payload, operationId }
        const answer = await send<Accepted>('POST', graphPath(id, '/command'), body)
        const text = answer.outcome === 'unchanged' ? `${did}: nothing to do` : `${did} in ${v(answer.version)}`
        add({ operationId, text, tone: 'ok' })
        return answer
      } catch (failure) {
        setError(asApiError(failure))
        throw failure
      } finally {
        setBusy(false)
      }
    },
    [id, add, operation, error],
  )
  const clear = useCallback(() => setError(null), [])
  return { run, error, busy, clear }
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
