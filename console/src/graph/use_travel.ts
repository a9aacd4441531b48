/** Moving through time: the slider, the keys, playback. The address follows when one rests. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { type LabelMark, nextAuthor, nextLabel } from './histogram.ts'
import { type Past, WINDOW } from './past.ts'
import type { Placed } from './place.ts'
import { nextSpeed, nextStep } from './playback.ts'

/** Browsers allow a page about twenty changes of its address a second; this is how long one has to rest. */
const REST_MS = 250

export interface Travel {
  /** Where the page is, ahead of the address while one moves; null is the head. */
  readonly version: number | null
  readonly isMoving: boolean
  /** Goes to a version; the head's and those above it mean the head. */
  to: (version: number | null) => void
  byCommit: (direction: 1 | -1) => void
  byAuthor: (direction: 1 | -1) => Promise<void>
  byLabel: (direction: 1 | -1) => void
  readonly playing: boolean
  readonly speed: number
  play: (on: boolean) => void
  faster: () => void
}

export function useTravel(
  { go }: Placed,
  wanted: number | null,
  head: number,
  past: Past,
  marks: readonly LabelMark[],
): Travel {
  const [moving, setMoving] = useState<{ version: number | null } | null>(null)
  const [playing, play] = useState(false)
  const [speed, setSpeed] = useState(1)
  const version = moving === null ? wanted : moving.version
  const here = version ?? head
  const latest = useRef({ here, head, go, marks })
  latest.current = { here, head, go, marks }

  const to = useCallback((next: number | null) => {
    const { head } = latest.current
    setMoving({ version: next === null || next >= head ? null : Math.max(0, next) })
  }, [])
  useEffect(() => {
    if (moving === null) return
    const timer = setTimeout(() => latest.current.go({ at: moving.version }, true), REST_MS)
    return () => clearTimeout(timer)
  }, [moving])
  // The address has caught up, or somebody followed a link: it counts again.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a change of the address ends the move
  useEffect(() => setMoving(null), [wanted])

  const byCommit = useCallback((direction: 1 | -1) => to(latest.current.here + direction), [to])
  const byLabel = useCallback(
    (direction: 1 | -1) => {
      const mark = nextLabel(latest.current.marks, latest.current.here, direction)
      if (mark !== null) to(mark.version)
      else if (direction === 1) to(null)
    },
    [to],
  )
  const byAuthor = useCallback(
    async (direction: 1 | -1) => {
      const { here, head } = latest.current
      const ticks = await past.ticks(Math.max(1, here))
      const found = nextAuthor(ticks, here, direction)
      if (found !== null) return to(found.version)
      // The turn goes on beyond what is known here: to the edge of it, and on from there with the next press.
      const edge = direction === 1 ? (ticks[ticks.length - 1]?.version ?? head) + 1 : (ticks[0]?.version ?? 1) - 1
      to(Math.min(head, edge))
    },
    [past, to],
  )

  useEffect(() => {
    if (!playing) return
    let timer: ReturnType<typeof setTimeout>
    let ended = false
    const step = async (): Promise<void> => {
      const { here, head } = latest.current
      if (ended || here >= head) return play(false)
      const gaps = await gapsFrom(past, here, Math.min(WINDOW, speed))
      const { commits, waitMs } = nextStep(gaps, speed)
      timer = setTimeout(() => {
        if (ended) return
        to(latest.current.here + Math.max(1, commits))
        timer = setTimeout(() => void step().catch(() => play(false)), 0)
      }, waitMs)
    }
    if (latest.current.here >= latest.current.head) to(0)
    timer = setTimeout(() => void step().catch(() => play(false)), 0)
    return () => {
      ended = true
      clearTimeout(timer)
    }
  }, [playing, speed, past, to])

  const faster = useCallback(() => setSpeed(nextSpeed), [])
  const isMoving = moving !== null
  return useMemo(
    () => ({ version, isMoving, to, byCommit, byAuthor, byLabel, playing, speed, play, faster }),
    [version, isMoving, to, byCommit, byAuthor, byLabel, playing, speed, faster],
  )
}

/** The times between the next commits, in milliseconds. */
async function gapsFrom(past: Past, version: number, count: number): Promise<number[]> {
  const ticks = await past.ticks(Math.max(1, version))
  const next = await past.ticks(version + 1)
  const all = next[0]?.version === ticks[0]?.version ? ticks : [...ticks, ...next]
  const from = all.findIndex((tick) => tick.version > version)
  if (from < 0) return [0]
  const gaps: number[] = []
  for (let i = from; i < all.length && gaps.length < count; i++) {
    gaps.push(i === 0 ? 0 : all[i]!.timestamp - all[i - 1]!.timestamp)
  }
  return gaps
}
