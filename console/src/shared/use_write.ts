/**
 * One write at a time, with its error. `operationId` is the same until the write succeeds, so trying again after a lost answer
 * does not do it twice (C3); after a final refusal, and for something else, it is a new one.
 */
import { useRef, useState } from 'react'
import { type ApiError, isPassing, newOperationId } from './api.ts'
import { asApiError } from './use_load.ts'

export interface Write {
  readonly busy: boolean
  readonly error: ApiError | undefined
  /** Throws what it shows, so that a dialog stays open. `what` says what is written: something else has another id. */
  run(write: (operationId: string) => Promise<void>, what?: string): Promise<void>
}

export function useWrite(): Write {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ApiError | undefined>()
  const last = useRef<{ what: string; id: string } | null>(null)
  const run = async (write: (operationId: string) => Promise<void>, what = ''): Promise<void> => {
    if (last.current?.what !== what) last.current = { what, id: newOperationId() }
    setBusy(true)
    setError(undefined)
    try {
      await write(last.current.id)
      last.current = null
    } catch (failure) {
      const problem = asApiError(failure)
      // Where the outcome is open, the same id has to be sent again.
      if (!isPassing(problem)) last.current = null
      setError(problem)
      throw problem
    } finally {
      setBusy(false)
    }
  }
  return { busy, error, run }
}
