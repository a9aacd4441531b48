/** What is said of a graph's state as a whole. */

import type { Json, Status } from './api.ts'
import type { GraphMachine } from './machine/graph_machine.ts'
import type { Point } from './machine/operation.ts'
import { isEqual } from './model/index.ts'

/** `link` is the state of the connection, `isSafe` whether the device has written all pending operations. */
export function statusOf(machine: GraphMachine, link: Status['connection'], shown: Point, isSafe: boolean): Status {
  const { access, phase, pending, refusal } = machine
  const point = machine.point === null ? null : shown
  let connection = link
  if (link === 'live' && phase !== 'live') connection = phase === 'refused' ? 'closed' : 'connecting'
  if (connection === 'connecting' && point !== null) connection = 'offline'
  return {
    connection,
    pending: pending.length,
    persisted: pending.length === 0 || isSafe,
    access,
    ...(phase === 'refused' && refusal !== null && { refusal }),
    point: { version: point?.version ?? 0, hash: point?.hash ?? null },
  }
}

export function isSameStatus(a: Status, b: Status): boolean {
  return isEqual(a as unknown as Json, b as unknown as Json)
}
