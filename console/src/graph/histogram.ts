/**
 * The time slider (K4): activity buckets as bars, positions on the track, and what stands where.
 *
 * A position is a fraction of the track, 0 to 1. There are two scales: by time, and by version for histories that are too
 * short for buckets of whole hours. Not here: fetching, drawing.
 */

export interface Bucket {
  /** When it began, in Unix milliseconds. */
  readonly at: number
  readonly events: number
}

export interface Bar {
  /** Left edge and width as fractions of the track. */
  readonly left: number
  readonly width: number
  /** 0 to 1; what is not empty is at least {@link BAR_MIN}. */
  readonly height: number
  readonly bucket: Bucket
}

export interface LabelMark {
  readonly name: string
  readonly version: number
  readonly at: number
}

/** The lowest bar that can still be seen. */
const BAR_MIN = 0.06
/** With fewer filled buckets, time says little: the slider goes by version. */
const BUCKETS_MIN = 6

export interface Scale {
  readonly kind: 'time' | 'version'
  readonly from: number
  readonly to: number
}

/** The scale that suits a history: by time, unless all of it lies in a few buckets. */
export function scaleOf(buckets: readonly Bucket[], bucketMs: number, version: number): Scale {
  const first = buckets[0]
  const last = buckets[buckets.length - 1]
  if (first === undefined || last === undefined || buckets.length < BUCKETS_MIN) return versionScale(version)
  return { kind: 'time', from: first.at, to: last.at + bucketMs }
}

export function versionScale(version: number): Scale {
  return { kind: 'version', from: 0, to: Math.max(1, version) }
}

/** Where a time or version is on the track. */
export function fractionOf(scale: Scale, value: number): number {
  const span = scale.to - scale.from
  if (span <= 0) return 0
  return Math.min(1, Math.max(0, (value - scale.from) / span))
}

/** The time or version at a fraction of the track; a version is whole. */
export function valueAt(scale: Scale, fraction: number): number {
  const value = scale.from + (scale.to - scale.from) * Math.min(1, Math.max(0, fraction))
  return Math.round(value)
}

/** The bars of a scale by time. Heights follow the square root, so that quiet hours stay visible beside busy ones. */
export function barsOf(buckets: readonly Bucket[], bucketMs: number, scale: Scale): Bar[] {
  if (scale.kind !== 'time') return []
  const most = Math.max(1, ...buckets.map(({ events }) => events))
  return buckets
    .filter(({ events }) => events > 0)
    .map((bucket) => {
      const left = fractionOf(scale, bucket.at)
      return {
        left,
        width: fractionOf(scale, bucket.at + bucketMs) - left,
        height: Math.max(BAR_MIN, Math.sqrt(bucket.events / most)),
        bucket,
      }
    })
}

/** A commit as far as the slider needs it. */
export interface Tick {
  readonly version: number
  readonly timestamp: number
  readonly userId: string
}

/** The last commit at or before a time, as `at=` of the server means it (L13); `null` before the first. */
export function snapToTime(ticks: readonly Tick[], time: number): Tick | null {
  let [low, high] = [0, ticks.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ticks[middle]!.timestamp <= time) low = middle + 1
    else high = middle
  }
  return ticks[low - 1] ?? null
}

/** Where labels stand on the track, in order. */
export function labelMarks(
  labels: Readonly<Record<string, { readonly version: number; readonly at: number }>>,
): LabelMark[] {
  return Object.entries(labels)
    .map(([name, { version, at }]) => ({ name, version, at }))
    .sort((a, b) => a.version - b.version || (a.name < b.name ? -1 : 1))
}

/** The next label from a version, forwards or backwards; `null` at the end. */
export function nextLabel(marks: readonly LabelMark[], version: number, direction: 1 | -1): LabelMark | null {
  if (direction === 1) return marks.find((mark) => mark.version > version) ?? null
  return [...marks].reverse().find((mark) => mark.version < version) ?? null
}

/**
 * The first commit of another author's turn: what `shift` and an arrow go to. `ticks` are in order and hold `version`.
 * Backwards it is the last commit of the turn before. `null` if the turn goes on to the end of what is known.
 */
export function nextAuthor(ticks: readonly Tick[], version: number, direction: 1 | -1): Tick | null {
  const here = ticks.findIndex((tick) => tick.version === version)
  const author = ticks[here]?.userId
  for (let i = here + direction; i >= 0 && i < ticks.length && here >= 0; i += direction) {
    if (ticks[i]!.userId !== author) return ticks[i]!
  }
  return null
}

/** What the slider says to screen readers. */
export function valueText(version: number, head: number, when: string | null, by: string | null): string {
  const parts = [`version ${version.toLocaleString('en')} of ${head.toLocaleString('en')}`]
  if (when !== null) parts.push(when)
  if (by !== null) parts.push(`by ${by}`)
  return parts.join(', ')
}
