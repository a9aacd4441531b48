/** Refusals, as an editor gets them. */

import type { Conflict, GraphEdge, GraphNode, OnConflict, Refusal, Sent } from './api.ts'
import { type NameOf, summaryOf } from './machine/conflicts.ts'
import type { RefusalData } from './machine/effects.ts'

/** Why a command was refused for good. `Sent.settled` rejects with it. */
export class CommandRefused extends Error implements Refusal {
  override readonly name = 'CommandRefused'
  readonly operationId: string
  readonly code: string
  readonly summary: string
  readonly conflicts: readonly Conflict[]
  declare readonly cause?: string
  readonly #again: (onConflict?: OnConflict) => Sent | null
  readonly #forget: () => void

  constructor(data: RefusalData, nameOf: NameOf, again: (onConflict?: OnConflict) => Sent | null, forget: () => void) {
    super(data.message)
    this.operationId = data.operationId
    this.code = data.code
    this.summary = summaryOf(data, nameOf)
    this.conflicts = data.conflicts
    if (data.cause !== undefined) this.cause = data.cause
    this.#again = again
    this.#forget = forget
  }

  retry(onConflict?: OnConflict): Sent | null {
    return this.#again(onConflict)
  }

  discard(): void {
    this.#forget()
  }
}

/** What editors show of a node or edge: its `data.label` or `label`. */
export function labelOf(entity: GraphNode | GraphEdge | undefined): string | undefined {
  const data = entity?.data
  const inner = data !== null && typeof data === 'object' && !Array.isArray(data) ? data.label : undefined
  return [inner, entity?.label].find((label) => typeof label === 'string' && label !== '') as string | undefined
}
