/** The list is a projection and may be behind what was just written (L2): it is read again until it must have caught up. */
import { useCallback, useEffect, useRef } from 'react'

const AFTER_MS = [0, 300, 1_000, 2_500]

export function useSettle(reload: () => void): () => void {
  const timers = useRef<ReturnType<typeof setTimeout>[]>([])
  const stop = useCallback(() => {
    for (const timer of timers.current.splice(0)) clearTimeout(timer)
  }, [])
  useEffect(() => stop, [stop])
  return useCallback(() => {
    stop()
    timers.current = AFTER_MS.map((ms) => setTimeout(reload, ms))
  }, [reload, stop])
}
