/** Refusals that nobody listened for when they came: of edits from before a reload, or of a page that was left since. */

import type { RefusalData } from './machine/effects.ts'

/** Refusals that are kept of one graph. The oldest is forgotten first. */
const UNTOLD_MAX = 200

export class Untold {
  readonly #byGraph = new Map<string, RefusalData[]>()

  keep(graphId: string, refusal: RefusalData): void {
    this.#byGraph.set(graphId, [...(this.#byGraph.get(graphId) ?? []), refusal].slice(-UNTOLD_MAX))
  }

  /** Gives them up, to be told. */
  take(graphId: string): readonly RefusalData[] {
    const kept = this.#byGraph.get(graphId) ?? []
    this.#byGraph.delete(graphId)
    return kept
  }

  /** It was dealt with: whoever waited for its outcome was told. */
  forget(graphId: string, operationId: string): void {
    const left = this.take(graphId).filter((refusal) => refusal.operationId !== operationId)
    if (left.length > 0) this.#byGraph.set(graphId, left)
  }
}
