/** What the server said of operations, and what their clients were told (rules M1, M2, C3). */

import type { Frame } from '../../src/testing/server.ts'
import { broken } from './rules.ts'

/** Why an operation is refused without the server saying so. */
const LOCAL_CODES = ['expired', 'history_replaced', 'DEPENDENCY_REFUSED', 'BAD_REQUEST', 'PARENT_CYCLE']

/** `isCancelled`: it was taken back before it was sent. If the device forgets that, it is made nevertheless. */
export type Told = ({ readonly outcome: string; readonly version: number } | { readonly code: string }) & {
  readonly isCancelled?: boolean
}

/** What may excuse a difference: the history was replaced, or operations were forgotten. */
export interface Circumstances {
  readonly era: number
  readonly hasExpired: boolean
}

export class Outcomes {
  /** What the server said of each operation, in all histories. */
  private readonly truth = new Map<string, Frame[]>()
  private readonly told = new Map<string, Told[]>()
  private readonly received = new Set<string>()

  ended(operationId: string, answer: Frame): void {
    this.truth.set(operationId, [...(this.truth.get(operationId) ?? []), answer])
  }

  /** The last that the server said. */
  truthOf(operationId: string): Frame | undefined {
    return this.truth.get(operationId)?.at(-1)
  }

  arrived(operationId: string): void {
    this.received.add(operationId)
  }

  hasArrived(operationId: string): boolean {
    return this.received.has(operationId)
  }

  /** The last that its client was told. */
  lastTold(operationId: string): Told | undefined {
    return this.told.get(operationId)?.at(-1)
  }

  isRefused(operationId: string): boolean {
    return this.told.get(operationId)?.some((told) => 'code' in told) === true
  }

  forget(operationId: string): void {
    this.told.delete(operationId)
  }

  /** Forgets what was told, if it ended on its client alone, or in a history that is no more. Whether it did. */
  forgetLocal(operationId: string, { era }: Circumstances): boolean {
    const isHere = (told: Told): boolean =>
      told.isCancelled === true || ('code' in told && LOCAL_CODES.includes(told.code))
    const isForgotten = this.told.get(operationId)?.some((told) => era > 0 || isHere(told)) === true
    if (isForgotten) this.told.delete(operationId)
    return isForgotten
  }

  /** A client is told how an operation ended: as the server said. */
  tell(operationId: string, told: Told, { era, hasExpired }: Circumstances): void {
    const isCancelled = 'outcome' in told && told.outcome === 'unchanged' && !this.received.has(operationId)
    this.told.set(operationId, [...(this.told.get(operationId) ?? []), { ...told, isCancelled }])
    const truth = this.truth.get(operationId) ?? []
    if ('code' in told) {
      if (LOCAL_CODES.includes(told.code)) return
      if (told.code === 'OPERATION_NOT_FOUND' && era === 0 && !hasExpired) {
        broken('U13', `${operationId} took back what the server does not know`)
      }
      if (truth.some(({ code }) => code === told.code)) return
      broken('M1', `${operationId} is refused with ${told.code}, not by the server`)
    }
    // What took back an operation of a lost history may find nothing to take back.
    if (hasExpired || isCancelled || (told.outcome === 'unchanged' && era > 0)) return
    if (truth.some(({ outcome }) => outcome === told.outcome)) return
    broken('M1', `${operationId} ended as ${JSON.stringify(told)}, and the server said ${JSON.stringify(truth)}`)
  }

  /** At rest: nothing is both refused and committed, or was told to end both ways. */
  check(committed: ReadonlySet<string>, { era, hasExpired }: Circumstances): void {
    for (const [id, all] of this.told) {
      const isRefused = all.some((told) => 'code' in told && told.code !== 'expired')
      if (isRefused && committed.has(id)) broken('M1', `${id} is refused, and committed`)
      const kinds = new Set(
        all.filter((told) => !told.isCancelled).map((told) => ('code' in told ? 'refused' : 'accepted')),
      )
      if (kinds.size > 1 && !hasExpired && era === 0) broken('M2', `${id} was told to end both ways`)
    }
  }
}
