/**
 * Commits folded into a graph, as the server does it: for programs that read the history from `GET /events`,
 * `GET /graphs/{graphId}/changes` or a stream, and have no connection. Works in Node and in browsers, without I/O.
 *
 * ```ts
 * const graph = foldGraph()
 * for (const commit of commits) graph.apply(commit)
 * graph.snapshot().nodes
 * ```
 */

import type { EntityMeta, GraphEdge, GraphNode, GraphSnapshot } from './api.ts'
import { fromState, type GraphEvent, GraphState, picture, type StateJson, toState } from './model/index.ts'

export type { GraphEvent } from './model/index.ts'

/** A commit, as far as the graph depends on it. What the server sends has more fields, which are not read. */
export interface FoldedCommit {
  readonly version: number
  readonly hash: string
  /** Unix milliseconds. */
  readonly timestamp: number
  /** In their order. Types that are not known change nothing. */
  readonly events: readonly (GraphEvent | { readonly type: string })[]
}

/** A state of a graph: the answer to `GET /graphs/{graphId}/state`, or what {@link FoldedGraph.toJSON} gave. */
export type FoldedState = StateJson & { readonly version: number; readonly hash?: string | null }

export interface FoldedGraph {
  /** The last commit that was applied, or that the state was of; 0: none. */
  readonly version: number
  /** Its hash; `null` before the first commit, and where the state had none. */
  readonly hash: string | null
  /**
   * `false` if something was restored whose place among what was created in the same millisecond can't be told. That can
   * only be after a state: what is folded from the first commit on is in the server's order.
   *
   * One case is not seen: if one id was made twice in one millisecond, the first was deleted before the state and the
   * second after it, then the first comes back in the place of the second.
   */
  readonly isOrderCertain: boolean
  /**
   * Applies the next commit. One of an older version is passed over, whatever its hash, so that answers may overlap.
   * Throws if commits between are missing, and if the commit of this version has another hash: then begin anew.
   *
   * That a history was replaced by one that is shorter, or was replaced and has grown on, is not seen here:
   * `changes?since=…&hash=…` and a stream of the graph say `reset`.
   */
  apply(commit: FoldedCommit): this
  /** The graph as an editor shows it. Its own object: later commits change only what they touch. */
  snapshot(): GraphSnapshot
  node(id: string): GraphNode | undefined
  edge(id: string): GraphEdge | undefined
  meta(id: string): EntityMeta | undefined
  /** The state, to be stored and given to {@link foldGraph} later. */
  toJSON(): FoldedState
}

/** An empty graph, or one in this state. */
export function foldGraph(state?: FoldedState): FoldedGraph {
  return new Folded(state)
}

class Folded implements FoldedGraph {
  version: number
  hash: string | null
  readonly #state: GraphState
  #snapshot: GraphSnapshot | undefined

  constructor(state: FoldedState | undefined) {
    this.#state = state === undefined ? new GraphState() : fromState(state)
    this.version = state?.version ?? 0
    this.hash = state?.hash ?? null
  }

  get isOrderCertain(): boolean {
    return !this.#state.isOrderUncertain
  }

  apply({ version, hash, timestamp, events }: FoldedCommit): this {
    if (version < this.version) return this
    if (version === this.version) {
      if (this.hash !== null && hash !== this.hash) throw new Error(`version ${version} is of another history`)
      return this
    }
    if (version > this.version + 1) throw new Error(`version ${version} does not follow version ${this.version}`)
    for (const event of events) this.#state.apply(event as GraphEvent, { version, timestamp })
    this.version = version
    this.hash = hash
    return this
  }

  snapshot(): GraphSnapshot {
    this.#snapshot = picture(this.#state, this.#snapshot)
    return this.#snapshot
  }

  node(id: string): GraphNode | undefined {
    return this.#state.nodes.get(id)?.entity
  }

  edge(id: string): GraphEdge | undefined {
    return this.#state.edges.get(id)?.entity
  }

  meta(id: string): EntityMeta | undefined {
    const placed = this.#state.nodes.get(id) ?? this.#state.edges.get(id)
    if (placed === undefined) return undefined
    const { createdAt, updatedAt, version } = placed
    return { createdAt, updatedAt, version }
  }

  toJSON(): FoldedState {
    return { version: this.version, hash: this.hash, ...toState(this.#state) }
  }
}
