/** What people write for a moment: "yesterday", "2 hours ago", "2026-11-30 10:30". Times of the reader's zone. Pure. */
import { absolute } from './time.tsx'

const MS: Readonly<Record<string, number>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
}
const SHORT: Readonly<Record<string, string>> = {
  s: 'second',
  sec: 'second',
  min: 'minute',
  h: 'hour',
  d: 'day',
  w: 'week',
}

/** A day means its end: what stood there in the evening. */
function endOfDay(year: number, month: number, date: number): number | null {
  const end = new Date(year, month, date, 23, 59, 59, 999)
  return end.getMonth() === month && end.getDate() === date ? end.getTime() : null
}

/** In milliseconds; `null`: it names no moment. */
export function momentOf(text: string, now: number): number | null {
  const said = text.trim().toLowerCase().replace(/\s+/g, ' ')
  if (said === 'today') return now
  if (said === 'yesterday') {
    const of = new Date(now)
    return new Date(of.getFullYear(), of.getMonth(), of.getDate() - 1, 23, 59, 59, 999).getTime()
  }
  const ago = /^(an?|\d{1,6}) ?([a-z]+?)s? ago$/.exec(said)
  if (ago !== null) {
    const ms = MS[SHORT[ago[2]!] ?? ago[2]!]
    return ms === undefined ? null : now - (ago[1]!.startsWith('a') ? 1 : Number(ago[1])) * ms
  }
  const plain = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(said)
  if (plain !== null) return endOfDay(Number(plain[1]), Number(plain[2]) - 1, Number(plain[3]))
  if (!/^\d{4}-\d/.test(said)) return null
  // Without a zone it is of the reader's.
  const time = Date.parse(said.toUpperCase())
  return Number.isNaN(time) ? null : time
}

export type Named =
  | { readonly kind: 'head' }
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'time'; readonly at: number }
  | { readonly kind: 'label'; readonly name: string }

/** What a person means who names a version (L13). Labels of the graph come first: one may be called `yesterday`. */
export function namedBy(text: string, labels: readonly string[], now: number): Named | null {
  const said = text.trim()
  if (said === '') return null
  if (labels.includes(said)) return { kind: 'label', name: said }
  if (/^(head|now|latest)$/i.test(said)) return { kind: 'head' }
  const version = /^v?([\d,]+)$/i.exec(said)
  if (version !== null && /\d/.test(said)) return { kind: 'version', version: Number(version[1]!.replaceAll(',', '')) }
  const at = momentOf(said, now)
  return at === null ? { kind: 'label', name: said } : { kind: 'time', at }
}

/** As it stands in an address. */
export function addressOf(named: Named): string {
  switch (named.kind) {
    case 'head':
      return 'head'
    case 'version':
      return String(named.version)
    case 'time':
      return new Date(named.at).toISOString().replace('.000Z', 'Z')
    case 'label':
      return named.name
  }
}

/** "UTC+1", "UTC−3:30": the reader's zone at a time. */
export function zone(at: number): string {
  const minutes = -new Date(at).getTimezoneOffset()
  if (minutes === 0) return 'UTC'
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
  return `UTC${minutes < 0 ? '−' : '+'}${hours}${rest === 0 ? '' : `:${String(rest).padStart(2, '0')}`}`
}

/** 2026-11-30 12:03:09 UTC+1 */
export const exactly = (at: number): string => `${absolute(at)} ${zone(at)}`
