/** What can be told of a graph that the public interface does not say. */

import type { Graph, Json } from '../api.ts'
import type { GraphMachine } from '../machine/graph_machine.ts'
import { isEqual, picture } from '../model/index.ts'

/** A graph as this package makes it. */
export interface Inspectable extends Graph {
  readonly machine: GraphMachine
}

/** An operation that has not ended. */
export interface OperationRow {
  readonly operationId: string
  /** Its command, or `BATCH (n)`. */
  readonly what: string
  /** `waiting`, `sent`, `accepted` or `asking`; with `doubtful` if it adds nothing to what is shown. */
  readonly state: string
  /** The version that its author saw. */
  readonly base: number
  readonly ageMs: number
  readonly attempts: number
}

export function rowsOf({ machine }: Inspectable, now: number): OperationRow[] {
  return machine.pending.map(({ stored, progress, isInFlight, attempts }) => {
    const { operationId, intent, base, madeAt } = stored
    const doubt = machine.isDoubtful(operationId) ? ', doubtful' : ''
    return {
      operationId,
      what: intent.type === 'BATCH' ? `BATCH (${intent.operations.length})` : intent.type,
      state: (progress === 'waiting' && isInFlight ? 'sent' : progress) + doubt,
      base: base.version,
      ageMs: now - madeAt,
      attempts,
    }
  })
}

/** An entity that is shown otherwise than the server has confirmed it; `null`: it is not there. */
export interface Difference {
  readonly entity: 'node' | 'edge'
  readonly id: string
  readonly confirmed: Json
  readonly shown: Json
}

export function differences({ machine }: Inspectable): Difference[] {
  const [confirmed, shown] = [picture(machine.confirmed.fork()), machine.picture()]
  const found: Difference[] = []
  for (const [entity, before, after] of [
    ['node', confirmed.nodes, shown.nodes],
    ['edge', confirmed.edges, shown.edges],
  ] as const) {
    const old = new Map(before.map((each) => [each.id, each as unknown as Json]))
    const now = new Map(after.map((each) => [each.id, each as unknown as Json]))
    for (const id of new Set([...old.keys(), ...now.keys()])) {
      const [was, is] = [old.get(id) ?? null, now.get(id) ?? null]
      if (!isEqual(was, is)) found.push({ entity, id, confirmed: was, shown: is })
    }
  }
  return found
}
