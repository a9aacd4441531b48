/**
 * The graph as it was (K4): a state is fetched at the nearest thousand at most, and commits are folded on top of it.
 *
 * Memory is bounded: commits are kept in windows of {@link WINDOW}, and states where windows begin; the least recently
 * used ones are dropped. A state is a fork of a persistent structure, so a kept one costs what changed since the one
 * before it. No request asks for more than {@link WINDOW} commits.
 */
import type { GraphSnapshot } from '@dao-api/client'
import { fromState, type GraphEvent, GraphState, picture, type StateJson } from './fold.ts'
import type { Tick } from './histogram.ts'
import { Recent } from './recent.ts'
import type { Commit } from './wire_types.ts'

export const WINDOW = 200
/** A jump to a version folds at most so many commits. */
const KEYFRAME = 1_000
const WINDOWS_MAX = 30
const STATES_MAX = 30

export interface PastSource {
  /** The state after a commit, as `GET /graphs/{id}/state?version=`. */
  state(version: number): Promise<StateJson>
  /** Commits after a version, at most `limit`. Fewer may come although there are more: the server limits bytes too. */
  commits(since: number, limit: number): Promise<{ readonly changes: readonly Commit[]; readonly hasMore: boolean }>
}

export interface Moment {
  readonly version: number
  readonly snapshot: GraphSnapshot
  readonly state: GraphState
  /** The commit that made it; `null` for version 0. */
  readonly commit: Commit | null
}

export class Past {
  readonly #source: PastSource
  readonly #windows = new Recent<number, Promise<readonly Commit[]>>(WINDOWS_MAX)
  /** States where windows begin, by version. */
  readonly #states = new Recent<number, GraphState>(STATES_MAX)
  #last: Moment | null = null

  constructor(source: PastSource) {
    this.#source = source
  }

  /** The commits of the window that a version is in, in order. */
  window(version: number): Promise<readonly Commit[]> {
    const since = windowOf(version)
    const kept = this.#windows.get(since)
    if (kept !== undefined) return kept
    const asked = this.#read(since)
    this.#windows.set(since, asked)
    asked.then(
      // The last window of a history that goes on is not whole: the next question asks again.
      (commits) => commits.length < WINDOW && this.#windows.delete(since),
      () => this.#windows.delete(since),
    )
    return asked
  }

  /** A whole window, or what there is of it; never one with a gap. */
  async #read(since: number): Promise<readonly Commit[]> {
    const found: Commit[] = []
    for (let hasMore = true; hasMore && found.length < WINDOW; ) {
      const page = await this.#source.commits(since + found.length, WINDOW - found.length)
      for (const commit of page.changes) {
        const expected = since + found.length + 1
        if (commit.version !== expected) throw new Error(`Expected commit ${expected}, got ${commit.version}.`)
        found.push(commit)
      }
      hasMore = page.hasMore && page.changes.length > 0
    }
    return found
  }

  async commit(version: number): Promise<Commit | null> {
    if (version < 1) return null
    return (await this.window(version)).find((commit) => commit.version === version) ?? null
  }

  /** Who wrote what around a version, in order: for steps by author, and for playback. */
  async ticks(version: number): Promise<Tick[]> {
    const commits = await this.window(version)
    return commits.map(({ version, timestamp, userId }) => ({ version, timestamp, userId }))
  }

  /** The graph after a commit. What is equal to the moment before is the same object, so little is drawn again. */
  async at(version: number): Promise<Moment> {
    if (this.#last?.version === version) return this.#last
    if (!Number.isSafeInteger(version) || version < 0) throw missing(version)
    const state = await this.#stateAt(version)
    const commit = await this.commit(version)
    if (commit === null && version > 0) throw missing(version)
    const moment = { version, state, commit, snapshot: picture(state, this.#last?.snapshot) }
    this.#last = moment
    return moment
  }

  async #stateAt(version: number): Promise<GraphState> {
    const last = this.#last
    const begin = await this.#begin(windowOf(version + 1))
    // The moment before is nearer than the beginning of the window while one steps forward.
    const isNearer = last !== null && last.version <= version && last.version > begin.version
    let { state, version: at } = isNearer ? last : begin
    if (at === version) return state
    state = state.fork()
    while (at < version) {
      const commits = await this.window(at + 1)
      const next = commits.filter((commit) => commit.version > at && commit.version <= version)
      if (next.length === 0) throw missing(version)
      for (const commit of next) apply(state, commit)
      at = next[next.length - 1]!.version
    }
    return state
  }

  /** The state where a window begins: kept, folded from a kept one, or fetched. */
  async #begin(since: number): Promise<{ state: GraphState; version: number }> {
    let from = since
    while (from % KEYFRAME !== 0 && !this.#states.has(from)) from -= WINDOW
    let state = this.#states.get(from)
    if (state === undefined) {
      state = from === 0 ? new GraphState() : await this.#fetch(from)
      this.#states.set(from, state)
    }
    for (; from < since; from += WINDOW) {
      const commits = await this.window(from + 1)
      // What is kept under a version has to be the state of that version.
      if (commits.length < WINDOW) throw missing(from + WINDOW)
      const next: GraphState = state.fork()
      for (const commit of commits) apply(next, commit)
      state = next
      this.#states.set(from + WINDOW, state)
    }
    return { state, version: since }
  }

  async #fetch(version: number): Promise<GraphState> {
    const answer = await this.#source.state(version)
    if (answer.version !== version) throw missing(version)
    return fromState(answer, this.#last?.state)
  }
}

function missing(version: number): Error {
  return new Error(`Version ${version} is not in this history.`)
}

function apply(state: GraphState, commit: Commit): void {
  const at = { version: commit.version, timestamp: commit.timestamp }
  for (const event of commit.events) state.apply(event as GraphEvent, at)
}

/** The version after which the window of a version begins: 1 to 200 are in the window since 0. */
function windowOf(version: number): number {
  return Math.max(0, Math.floor((version - 1) / WINDOW) * WINDOW)
}
