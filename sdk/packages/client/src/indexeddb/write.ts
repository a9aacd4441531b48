/** Changes of one or more steps as one transaction (rules P1, P2, P6). */

import type { Change } from '../machine/effects.ts'
import type { Point } from '../machine/operation.ts'
import { ALL, beginningWith, ended } from './database.ts'

export interface Written {
  readonly graphId: string
  readonly clientId: string
  readonly changes: readonly Change[]
}

type GraphChange = Extract<Change, { readonly put: 'commit' | 'checkpoint' }>

/** Whether the change should be on its way to the disk before the page may go. */
export function isUrgent(changes: readonly Change[]): boolean {
  return changes.some((change) => 'put' in change && (change.put === 'operation' || change.put === 'history'))
}

/** Writes all of it, or nothing. What the user did goes first: it needs no answer of the disk. */
export function write(
  database: IDBDatabase,
  range: typeof IDBKeyRange,
  durability: IDBTransactionDurability,
  written: readonly Written[],
): Promise<void> {
  const transaction = database.transaction(ALL, 'readwrite', { durability })
  const graphs = new Map<string, GraphChange[]>()
  for (const { graphId, clientId, changes } of written) {
    for (const change of changes) {
      if ('drop' in change) {
        const { operation } = change
        transaction.objectStore('operations').delete([graphId, operation.clientId, operation.seq])
      } else if (change.put === 'operation') {
        transaction.objectStore('operations').put({ graphId, ...change.operation })
      } else if (change.put === 'history') {
        transaction.objectStore('histories').put({ graphId, clientId, history: change.history })
      } else {
        const known = graphs.get(graphId)
        if (known === undefined) graphs.set(graphId, [change])
        else known.push(change)
      }
    }
  }
  const end = ended(transaction)
  for (const [graphId, changes] of graphs) writeGraph(transaction, range, graphId, changes)
  // Nothing has to be read first, so the page need not live until it is done.
  if (graphs.size === 0) transaction.commit?.()
  return end
}

/** Other tabs write the same graph: only what follows what is there is written. */
function writeGraph(
  transaction: IDBTransaction,
  range: typeof IDBKeyRange,
  graphId: string,
  changes: readonly GraphChange[],
): void {
  const heads = transaction.objectStore('heads')
  const request = heads.get(graphId)
  request.onsuccess = () => {
    const before = request.result as Point | undefined
    let head = before
    for (const change of changes) {
      if (change.put === 'commit') {
        const { commit, previous } = change
        if (head === undefined || head.version !== previous.version || head.hash !== previous.hash) continue
        transaction.objectStore('tail').put({ graphId, ...commit })
        head = { version: commit.version, hash: commit.hash }
      } else {
        const { point, state, isReset } = change
        if (head !== undefined && !isReset && head.version > point.version) continue
        transaction.objectStore('tail').delete(beginningWith(range, graphId))
        transaction.objectStore('checkpoints').put({ graphId, point, state })
        head = point
      }
    }
    if (head !== before && head !== undefined) heads.put({ graphId, version: head.version, hash: head.hash })
  }
}
