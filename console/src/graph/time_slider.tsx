// biome-ignore-all lint/a11y/useSemanticElements: a fieldset has a border and a form
/** The slider through time (K4): activity, labels, playback. A native range, so that every device can use it (K8). */
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react'
import { hueOf } from '../shared/format.ts'
import { absolute, spoken } from '../shared/time.tsx'
import { useLoad } from '../shared/use_load.ts'
import {
  type Bar,
  barsOf,
  fractionOf,
  type LabelMark,
  type Scale,
  scaleOf,
  snapToTime,
  valueAt,
  valueText,
  versionScale,
} from './histogram.ts'
import { type Past, WINDOW } from './past.ts'
import { commitAtTime, getBuckets } from './source.ts'
import { v } from './text.ts'
import type { Travel } from './use_travel.ts'
import type { Commit } from './wire_types.ts'

const STEPS = 10_000
/** How long a drag by time has to rest before the server is asked which commit is there. Milliseconds. */
const ASK_MS = 60

interface SliderProps {
  id: string
  head: number
  travel: Travel
  past: Past
  marks: readonly LabelMark[]
  /** The commit that is shown; null at the head until it is known. */
  commit: Commit | null
  /** What the slider asks for waits until the picture is there. */
  isShown: boolean
  /** Whether all commits may be asked for, if there are few. */
  hasSmallCommits: boolean
}

export function TimeSlider({ id, head, travel, past, marks, commit, isShown, hasSmallCommits }: SliderProps) {
  const buckets = useLoad(`buckets ${id} ${Math.floor(head / 50)}`, (signal) => getBuckets(id, signal), {
    when: isShown,
  })
  const [byVersion, setByVersion] = useState<boolean | null>(null)
  const suited = useMemo(
    () => scaleOf(buckets.data?.buckets ?? [], buckets.data?.bucketMs ?? 1, head),
    [buckets.data, head],
  )
  const scale = useMemo(() => {
    if (byVersion === true || (byVersion === null && suited.kind === 'version')) return versionScale(head)
    return suited.kind === 'time' ? { ...suited, to: Math.max(suited.to, suited.from + 1) } : suited
  }, [byVersion, suited, head])
  const bars = useBars(scale, buckets.data, past, head, isShown && hasSmallCommits)
  const here = travel.version ?? head
  const drag = useTimeDrag(id, scale, travel, past, head)
  const time = commit?.version === here ? commit.timestamp : null
  const known = drag.fraction ?? fractionAt(scale, here, head, time)
  const last = useRef(1)
  if (known !== null) last.current = known
  const fraction = known ?? last.current
  const text = valueText(
    here,
    head,
    time === null ? null : spoken(time),
    commit?.version === here ? commit.userId : null,
  )
  return (
    <div className="gp-slider">
      <Buttons travel={travel} here={here} head={head} />
      <div className="gp-track">
        <Histogram bars={bars} fraction={fraction} />
        {marks.map((mark) => (
          <span
            key={mark.name}
            className="gp-mark"
            style={{ left: `${fractionOf(scale, scale.kind === 'time' ? mark.at : mark.version) * 100}%` }}
            title={`${mark.name}: ${v(mark.version)}`}
          >
            <span className="gp-mark-name">{mark.name}</span>
          </span>
        ))}
        <input
          type="range"
          className="gp-range"
          aria-label="Time"
          aria-valuetext={text}
          min={0}
          max={scale.kind === 'version' ? head : STEPS}
          step={1}
          value={scale.kind === 'version' ? here : Math.round(fraction * STEPS)}
          onChange={(event) => drag.move(Number(event.target.value))}
          onPointerUp={drag.end}
          onKeyDown={(event) => onKey(event, travel, here, head)}
        />
      </div>
      <div className="gp-when">
        <strong>{here >= head ? 'now' : v(here)}</strong>
        <span className="quiet small-text">
          {time === null ? `of ${v(head)}` : `${absolute(time)}${commit === null ? '' : ` · ${commit.userId}`}`}
        </span>
      </div>
      {suited.kind === 'time' && (
        <button
          type="button"
          className="gp-scale small-text"
          aria-pressed={scale.kind === 'version'}
          title="Whether the slider goes by time or by commits"
          onClick={() => setByVersion(scale.kind !== 'version')}
        >
          {scale.kind === 'version' ? 'by commits' : 'by time'}
        </button>
      )}
    </div>
  )
}

/** `null` while the time of the version is not known. */
function fractionAt(scale: Scale, here: number, head: number, time: number | null): number | null {
  if (scale.kind === 'version') return fractionOf(scale, here)
  if (here === 0) return 0
  if (here >= head) return 1
  return time === null ? null : fractionOf(scale, time)
}

function Buttons({ travel, here, head }: { travel: Travel; here: number; head: number }) {
  const { playing, speed } = travel
  return (
    <div className="gp-play" role="group" aria-label="Playback">
      <button
        type="button"
        className="icon"
        aria-label="First version"
        disabled={here === 0}
        onClick={() => travel.to(0)}
      >
        <EndSign isEnd={false} />
      </button>
      <button
        type="button"
        className="icon"
        aria-label="Previous commit"
        disabled={here === 0}
        onClick={() => travel.byCommit(-1)}
      >
        <StepSign isNext={false} />
      </button>
      <button
        type="button"
        className="icon gp-play-button"
        aria-label={playing ? 'Pause' : 'Play'}
        onClick={() => travel.play(!playing)}
      >
        {playing ? <PauseSign /> : <PlaySign />}
      </button>
      <button
        type="button"
        className="icon"
        aria-label="Next commit"
        disabled={here >= head}
        onClick={() => travel.byCommit(1)}
      >
        <StepSign isNext />
      </button>
      <button type="button" className="icon" aria-label="Now" disabled={here >= head} onClick={() => travel.to(null)}>
        <EndSign isEnd />
      </button>
      <button type="button" className="gp-speed" aria-label={`Speed: ${speed} times`} onClick={travel.faster}>
        {speed}×
      </button>
    </div>
  )
}

const EndSign = ({ isEnd }: { isEnd: boolean }) => (
  <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
    <path d={isEnd ? 'M2 2v10l6.5-5zM9.5 2h2.2v10H9.5z' : 'M12 2v10L5.5 7zM2.3 2h2.2v10H2.3z'} fill="currentColor" />
  </svg>
)
const StepSign = ({ isNext }: { isNext: boolean }) => (
  <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
    <path d={isNext ? 'M5 2l5 5-5 5' : 'M9 2L4 7l5 5'} fill="none" stroke="currentColor" strokeWidth="2" />
  </svg>
)
const PlaySign = () => (
  <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
    <path d="M3 1.5v11l9-5.5z" fill="currentColor" />
  </svg>
)
const PauseSign = () => (
  <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
    <path d="M3 2h3v10H3zM8 2h3v10H8z" fill="currentColor" />
  </svg>
)

/** Arrow keys go by commits on either scale; with shift by authors. */
function onKey(event: KeyboardEvent, travel: Travel, here: number, head: number): void {
  const direction = event.key === 'ArrowLeft' || event.key === 'ArrowDown' ? -1 : 1
  if (/^Arrow/.test(event.key)) {
    if (event.shiftKey) void travel.byAuthor(direction)
    else travel.byCommit(direction)
  } else if (event.key === 'Home') travel.to(0)
  else if (event.key === 'End') travel.to(null)
  else if (event.key === 'PageUp' || event.key === 'PageDown') {
    travel.to(here + (event.key === 'PageUp' ? 1 : -1) * Math.max(1, Math.round(head / 20)))
  } else return
  event.preventDefault()
}

interface Drag {
  /** Where the thumb is while the commit below it is not known. */
  readonly fraction: number | null
  move: (value: number) => void
  end: () => void
}

/** A drag by time asks for the commit that stands there; a drag by version knows it. */
function useTimeDrag(id: string, scale: Scale, travel: Travel, past: Past, head: number): Drag {
  const [fraction, setFraction] = useState<number | null>(null)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const abort = useRef<AbortController | null>(null)
  const here = useRef(travel.version)
  here.current = travel.version
  const stop = (): void => {
    clearTimeout(timer.current)
    abort.current?.abort()
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what is current at the end counts
  useEffect(() => stop, [])
  const settle = async (time: number, from: number | null): Promise<void> => {
    const mine = new AbortController()
    abort.current = mine
    const known = head <= WINDOW ? snapToTime(await past.ticks(1), time) : await commitAtTime(id, time, mine.signal)
    // Who went elsewhere since, by a key or a link, stays there.
    if (mine.signal.aborted || here.current !== from) return
    const version = known?.version ?? 0
    // The next move may come before this is drawn.
    here.current = version >= head ? null : version
    travel.to(version)
  }
  return {
    fraction,
    move: (value) => {
      travel.play(false)
      stop()
      if (scale.kind === 'version') return travel.to(value)
      const [at, from] = [value / STEPS, here.current]
      setFraction(at)
      timer.current = setTimeout(() => void settle(valueAt(scale, at), from).catch(() => undefined), ASK_MS)
    },
    end: () => setFraction(null),
  }
}

/** By time: how much happened. By version, where all commits are known: how much each did, in its author's colour. */
function useBars(
  scale: Scale,
  data: { buckets: { at: number; events: number }[]; bucketMs: number } | undefined,
  past: Past,
  head: number,
  mayAsk: boolean,
): readonly (Bar & { hue?: number })[] {
  const isSmall = mayAsk && scale.kind === 'version' && head > 0 && head <= WINDOW
  const commits = useLoad(`commits ${head}`, () => past.window(1), { when: isSmall })
  return useMemo(() => {
    if (!isSmall) return barsOf(data?.buckets ?? [], data?.bucketMs ?? 1, scale)
    const most = Math.max(1, ...(commits.data ?? []).map(({ events }) => events.length))
    const width = 1 / scale.to
    return (commits.data ?? []).map(({ version, timestamp, userId, events }) => ({
      left: fractionOf(scale, version) - width,
      width,
      height: Math.max(0.2, Math.sqrt(events.length / most)),
      bucket: { at: timestamp, events: events.length },
      hue: hueOf(userId),
    }))
  }, [isSmall, scale, data, commits.data])
}

function Histogram({ bars, fraction }: { bars: readonly (Bar & { hue?: number })[]; fraction: number }) {
  return (
    <svg className="gp-histogram" viewBox="0 0 1000 40" preserveAspectRatio="none" aria-hidden="true">
      {bars.map(({ left, width, height, bucket, hue }) => (
        <rect
          key={left}
          x={left * 1000 + 0.3}
          y={40 - height * 38}
          width={Math.max(1, width * 1000 - 0.6)}
          height={height * 38}
          className={left < fraction ? 'gp-bar gp-bar-done' : 'gp-bar'}
          style={hue === undefined ? undefined : ({ '--hue': hue } as React.CSSProperties)}
          data-hue={hue === undefined ? undefined : ''}
        >
          <title>{`${absolute(bucket.at)}: ${bucket.events}`}</title>
        </rect>
      ))}
    </svg>
  )
}
