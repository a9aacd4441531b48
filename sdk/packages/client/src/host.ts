/** What a graph needs of its client. */

import type { JsonObject, Status } from './api.ts'
import type { Environment } from './environment.ts'
import type { Change, Effect, Input, RefusalData } from './machine/effects.ts'

/** `G` is the graph. */
export interface Host<G> {
  readonly environment: Environment
  /** Whether changes are to be told to {@link write}. */
  readonly isKept: boolean
  /** Refusals that nobody listened for, of all graphs, by operation: of a page that was left, or of edits before a reload. */
  readonly untold: Map<string, { readonly graphId: string; readonly refusal: RefusalData }>
  clientId(): string
  connection(): Status['connection']
  send(frame: JsonObject): void
  reconnect(): void
  /** The graph is followed. */
  proven(): void
  /** Resolves when the changes outlive the program. */
  write(graphId: string, changes: readonly Change[]): Promise<void>
  isDurable(): boolean
  /** Nobody holds the graph any longer. */
  closed(graph: G): void
  changed(graph: G): void
  inspect(graphId: string, input: Input, effects: readonly Effect[]): void
}
