/** What a device holds: transactions are begun in order, and each is there as a whole or not at all. */

import type { Change, StoredCommit, StoredGraph } from '../../src/machine/effects.ts'
import type { Point, StoredOperation } from '../../src/machine/operation.ts'
import type { StoredHistory } from '../../src/machine/undo_stack.ts'
import type { StateJson } from '../../src/model/index.ts'

export class Disk {
  private checkpoint: { point: Point; state: StateJson } | null = null
  private tail: readonly StoredCommit[] = []
  private operations: ReadonlyMap<string, StoredOperation> = new Map()
  private history: StoredHistory | null = null
  /** Transactions that are begun and not there yet. */
  readonly begun: (readonly Change[])[] = []

  /** The oldest transactions are there now. */
  flush(count: number): void {
    for (const changes of this.begun.splice(0, count)) this.write(changes)
  }

  write(changes: readonly Change[]): void {
    for (const change of changes) {
      if ('drop' in change) this.keepOperations((operations) => operations.delete(change.operation.operationId))
      else if (change.put === 'operation') {
        this.keepOperations((operations) => operations.set(change.operation.operationId, change.operation))
      } else if (change.put === 'history') this.history = change.history
      else if (change.put === 'commit') this.append(change.commit, change.previous)
      else {
        const { point, state } = change
        this.checkpoint = { point, state }
        this.tail = []
      }
    }
  }

  private keepOperations(change: (operations: Map<string, StoredOperation>) => void): void {
    const operations = new Map(this.operations)
    change(operations)
    this.operations = operations
  }

  private append(commit: StoredCommit, previous: Point): void {
    const at = this.point
    if (at?.version !== previous.version || at.hash !== previous.hash) {
      throw new Error(`P2: commit ${commit.version} was kept after ${at?.version}, not after ${previous.version}`)
    }
    this.tail = [...this.tail, commit]
  }

  /** The version that is kept. */
  get point(): Point | undefined {
    return this.tail.at(-1) ?? this.checkpoint?.point
  }

  get operationIds(): string[] {
    return [...this.operations.keys()]
  }

  operation(id: string): StoredOperation | undefined {
    return this.operations.get(id)
  }

  /** What is there, as a machine loads it. It went through JSON, as through a store. */
  stored(): StoredGraph {
    const { checkpoint, tail, history } = this
    return JSON.parse(JSON.stringify({ checkpoint, tail, operations: [...this.operations.values()], history }))
  }

  copy(): Disk {
    const copy = new Disk()
    Object.assign(copy, {
      checkpoint: this.checkpoint,
      tail: this.tail,
      operations: this.operations,
      history: this.history,
    })
    copy.begun.push(...this.begun)
    return copy
  }
}
