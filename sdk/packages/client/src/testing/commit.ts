import type { GraphEvent } from '../model/index.ts'

/** A commit as the model server keeps it. */
export interface Commit {
  readonly version: number
  readonly hash: string
  readonly operationId: string
  readonly userId: string
  readonly clientId: string
  /** Whether its author named the client (rule D1). */
  readonly named: boolean
  /** Unix milliseconds. */
  readonly timestamp: number
  readonly commandType: string
  readonly outcome: 'applied' | 'merged'
  readonly events: readonly GraphEvent[]
}
