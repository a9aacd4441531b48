/** Who waits for the outcome of a command, and what was refused (rules M2, A7). */

import type { OnConflict, Outcome, Sent, UndoOutcome } from './api.ts'
import type { NameOf } from './machine/conflicts.ts'
import type { ActOptions, RefusalData } from './machine/effects.ts'
import type { StoredOperation } from './machine/operation.ts'
import { CommandRefused } from './refused.ts'

/** What an undo did, from the outcome of its command. */
export function undoneOf({ outcome, result }: Outcome): UndoOutcome {
  const { reverted = [], skipped = [] } = (result ?? {}) as unknown as Partial<UndoOutcome>
  return { outcome, reverted, skipped }
}

interface Handle {
  readonly sent: Sent
  resolve(outcome: Outcome): void
  reject(refusal: CommandRefused): void
  persist(): void
}

/** Makes a refused operation again under a new id. */
export type Again = (operationId: string, refused: StoredOperation, options: ActOptions) => void

/** Refusals that can still be tried again, those that were, and those that nobody was told. */
const REFUSALS_MAX = 200

export class Outcomes {
  readonly #handles = new Map<string, Handle>()
  readonly #refusals = new Map<string, RefusalData>()
  /** Refused operations that were tried again, and how: what is refused because of them afterwards follows them. */
  readonly #retried = new Map<string, OnConflict | undefined>()
  readonly #newId: () => string
  readonly #nameOf: NameOf
  readonly #again: Again
  readonly #forgotten: (operationId: string) => unknown

  /** `forgotten`: a refusal was tried again, or discarded. */
  constructor(newId: () => string, nameOf: NameOf, again: Again, forgotten: (operationId: string) => unknown) {
    this.#newId = newId
    this.#nameOf = nameOf
    this.#again = again
    this.#forgotten = forgotten
  }

  /** What the maker of a new operation gets. A rejection that nobody handles is no unhandled rejection. */
  expect(operationId: string): Sent {
    let resolve: (outcome: Outcome) => void = () => {}
    let reject: (refusal: CommandRefused) => void = () => {}
    let persist: () => void = () => {}
    const settled = new Promise<Outcome>((ok, no) => {
      resolve = ok
      reject = no
    })
    const persisted = new Promise<void>((ok) => {
      persist = ok
    })
    settled.catch(() => {})
    const sent = { operationId, settled, persisted }
    this.#handles.set(operationId, { sent, resolve, reject, persist })
    return sent
  }

  settled(operationId: string, outcome: Outcome): void {
    this.#handles.get(operationId)?.resolve(outcome)
    this.#handles.delete(operationId)
  }

  persisted(operationId: string): void {
    this.#handles.get(operationId)?.persist()
  }

  refused(data: RefusalData): CommandRefused {
    const { operationId } = data
    remember(this.#refusals, operationId, data)
    const refusal = new CommandRefused(
      data,
      this.#nameOf,
      (onConflict) => this.#retry(operationId, onConflict),
      () => this.#discard(operationId),
    )
    this.#handles.get(operationId)?.reject(refusal)
    this.#handles.delete(operationId)
    return refusal
  }

  /** A refusal was told. If that which it is because of was tried again already, it is made again behind that. */
  follow({ operationId, operation, cause }: RefusalData): void {
    if (cause === undefined || !this.#retried.has(cause) || !this.#refusals.has(operationId)) return
    this.#make(operation, this.#retried.get(cause))
    this.#discard(operationId)
  }

  /** Makes it again, and what was refused because of it. */
  #retry(operationId: string, onConflict: OnConflict | undefined): Sent | null {
    const first = this.#refusals.get(operationId)
    if (first === undefined) return null
    const followers = [...this.#refusals.values()].filter((other) => other.cause === operationId)
    const sent = this.#make(first.operation, onConflict)
    remember(this.#retried, operationId, onConflict)
    this.#discard(operationId)
    for (const follower of followers) this.#make(follower.operation, onConflict)
    return sent
  }

  #make(refused: StoredOperation, onConflict: OnConflict | undefined): Sent {
    const operationId = this.#newId()
    const sent = this.expect(operationId)
    const { label, undoGroup } = refused
    this.#again(operationId, refused, { onConflict: onConflict ?? refused.onConflict, label, undoGroup })
    return sent
  }

  #discard(operationId: string): void {
    for (const [id, { cause }] of this.#refusals) {
      if (id !== operationId && cause !== operationId) continue
      this.#refusals.delete(id)
      this.#forgotten(id)
    }
  }
}

/** Adds one, and forgets the oldest of too many. */
export function remember<T>(map: Map<string, T>, id: string, value: T): void {
  map.set(id, value)
  const [oldest] = map.keys()
  if (map.size > REFUSALS_MAX && oldest !== undefined) map.delete(oldest)
}
