/** Times, relative and absolute. All `<Time>`s of the page are renewed together. */
import { useSyncExternalStore } from 'react'

let now = Date.now()
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    now = Date.now()
    timer = setInterval(tick, 5_000)
  }
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) clearInterval(timer)
  }
}

function tick(): void {
  if (document.hidden) return
  now = Date.now()
  for (const listener of listeners) listener()
}

/** The time, renewed every five seconds. */
const useNow = (): number => useSyncExternalStore(subscribe, () => now)

const UNITS: readonly (readonly [limit: number, ms: number, name: string])[] = [
  [90_000, 1_000, 's'],
  [90 * 60_000, 60_000, 'min'],
  [36 * 3_600_000, 3_600_000, 'h'],
  [14 * 86_400_000, 86_400_000, 'd'],
]

/** "just now", "3 min ago", "in 2 h"; a date if that is more than two weeks away. */
export function relative(at: number, from: number): string {
  const distance = Math.abs(from - at)
  if (distance < 5_000) return 'just now'
  const unit = UNITS.find(([limit]) => distance < limit)
  if (unit === undefined) return day(at)
  const text = `${Math.round(distance / unit[1])} ${unit[2]}`
  return at > from ? `in ${text}` : `${text} ago`
}

/** "12 s", "4 min", "3 h": a length of time. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const unit = UNITS.find(([limit]) => ms < limit) ?? ([0, 86_400_000, 'd'] as const)
  return `${Math.round(ms / unit[1])} ${unit[2]}`
}

const pad = (value: number, length = 2): string => String(value).padStart(length, '0')

/** The day in the reader's time zone: 2026-11-30. */
export function day(at: number): string {
  const date = new Date(at)
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
}

/** 12:03:09 in the reader's time zone. */
export function clock(at: number): string {
  const date = new Date(at)
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`
}

/** 2026-11-30 12:03:09 in the reader's time zone. */
export const absolute = (at: number): string => `${day(at)} ${clock(at)}`

/** The time of today, the day and the time of any other day: for lists. */
export const stamp = (at: number, from: number = Date.now()): string =>
  day(at) === day(from) ? clock(at) : absolute(at)

/** "Monday 12:03" within a week, else the date: for sentences. */
export function spoken(at: number, from: number = Date.now()): string {
  const date = new Date(at)
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}`
  if (day(at) === day(from)) return `today ${time}`
  if (Math.abs(from - at) > 6 * 86_400_000) return `${day(at)} ${time}`
  return `${date.toLocaleDateString('en', { weekday: 'long' })} ${time}`
}

/** Relative in the text, absolute on hover; with `exact` the other way round. */
export function Time({ at, exact = false }: { at: number; exact?: boolean }) {
  const from = useNow()
  const near = relative(at, Math.max(from, at > Date.now() ? from : at))
  const iso = new Date(at).toISOString()
  return (
    <time dateTime={iso} title={exact ? near : `${absolute(at)} (${iso})`}>
      {exact ? absolute(at) : near}
    </time>
  )
}
