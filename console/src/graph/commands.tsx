/** Writes: each shows its operation id and a link to it (K2). */
import type { Graph } from '@dao-api/client'
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react'
import { Link } from 'wouter'
import { type ApiError, newOperationId } from '../shared/api.ts'
import { sentence, shortId } from '../shared/format.ts'
import { goesLater } from '../shared/goes_later.ts'
import { command } from '../shared/graph_writes.ts'
import { operationLink } from '../shared/links.ts'
import { useUnlock } from '../shared/unlock.ts'
import { asApiError } from '../shared/use_load.ts'
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

const RECEIPTS_MAX = 3
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
  return (
    <div className="gp-receipts" role="status" aria-live="polite">
      {list.map((receipt) => (
        <ReceiptLine key={receipt.operationId} id={id} receipt={receipt} remove={remove} />
      ))}
    </div>
  )
}

function ReceiptLine({ id, receipt, remove }: { id: string; receipt: Receipt; remove: Receipts['remove'] }) {
  const { operationId, text, tone, act } = receipt
  const [isUnlocked] = useUnlock(id)
  useEffect(
    () => (tone === 'ok' ? goesLater('.gp-receipts', () => remove(operationId)) : undefined),
    [operationId, tone, remove],
  )
  return (
    <p className={`gp-receipt gp-receipt-${tone}`}>
      <span aria-hidden="true">{tone === 'ok' ? '✓' : '✕'}</span>
      <span className="gp-receipt-text">{text}</span>
      <Link href={operationLink(operationId, id)} title={operationId}>
        operation {shortId(operationId)}
      </Link>
      {act !== undefined && isUnlocked && (
        <button
          type="button"
          className="link"
          onClick={() => {
            remove(operationId)
            act.run()
          }}
        >
          {act.label}
        </button>
      )}
      <button type="button" className="icon small" aria-label="Dismiss" onClick={() => remove(operationId)}>
        ✕
      </button>
    </p>
  )
}

/** A commit that was made. */
export interface Done {
  readonly operationId: string
  readonly version: number
}

interface Commands {
  /**
   * Sends one command. A failure is thrown and shown, and the same call again is safe: it has the same id. Null: nothing had
   * to change. `undo` takes it back as the latest step of the page, and returns whether it was that.
   */
  run: (type: string, payload: object, did: string, undo?: (done: Done) => boolean) => Promise<Done | null>
  readonly error: ApiError | undefined
}

/** One command of a dialog: sent again after a failure, it is the same operation (C3). */
export function useCommand(id: string): Commands {
  const { add } = useContext(Context)
  const { run, error } = useWrite()
  const takeBack = useTakeBack(id)
  return {
    run: async (type, payload, did, undo) => {
      let done: Done | null = null
      await run(
        async (operationId) => {
          const { outcome, version } = await command(id, type, payload, operationId)
          if (outcome === 'unchanged') return add({ operationId, text: `${did}: nothing to do`, tone: 'ok' })
          const made = { operationId, version }
          done = made
          const act = { label: 'Undo', run: () => void (undo?.(made) || takeBack(made, did)) }
          add({ operationId, text: `${did} in ${v(version)}`, tone: 'ok', act })
        },
        `${type} ${JSON.stringify(payload)}`,
      )
      return done
    },
    error,
  }
}

/** Asks the server to take back one operation (U1). What it left alone is told. */
function useTakeBack(id: string): (done: Done, did: string) => Promise<void> {
  const { add } = useContext(Context)
  return async (done, did) => {
    const operationId = newOperationId()
    try {
      const { outcome, version } = await command(id, 'UNDO', { operations: [done] }, operationId)
      const left = outcome === 'merged' ? ', except what others changed since' : ''
      const text = outcome === 'unchanged' ? `${did}: taken back already` : `${did}: taken back in ${v(version)}${left}`
      add({ operationId, text, tone: 'ok' })
    } catch (failure) {
      add({ operationId, text: `${did}: ${sentence(asApiError(failure).detail)}`, tone: 'bad' })
    }
  }
}

/** Shows what becomes of edits on the canvas, also of those that are on their way when editing ends. */
export function useEditReceipts(graph: Graph | null): void {
  const { add } = useContext(Context)
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
  }, [graph, add])
}
