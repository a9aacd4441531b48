/** The operations that have not ended, in the order of making, and found by id and by what they write. */

import type { Entity } from '../model/index.ts'
import type { Pending } from './operation.ts'

export class Queue {
  /** Oldest first. Not to be changed from outside. */
  readonly all: Pending[] = []
  readonly #byId = new Map<string, Pending>()
  readonly #byEntity = new Map<string, Pending[]>()
  /** How many operations read or write an entity. */
  readonly #uses = new Map<string, number>()
  #undos = 0

  find(operationId: string): Pending | undefined {
    return this.#byId.get(operationId)
  }

  has(pending: Pending): boolean {
    return this.#byId.get(pending.stored.operationId) === pending
  }

  /** Those that write any of these entities, oldest first. */
  writersOf(entities: readonly Entity[]): readonly Pending[] {
    const lists = [...new Set(entities.map(keyOf))].flatMap((key) => {
      const list = this.#byEntity.get(key)
      return list === undefined ? [] : [list]
    })
    if (lists.length <= 1) return lists[0] ?? []
    return [...new Set(lists.flat())].sort((a, b) => a.stored.seq - b.stored.seq)
  }

  /** Whether what an operation does may depend on this entity. An undo may depend on any. */
  dependsOn(entity: Entity): boolean {
    return this.#undos > 0 || this.#uses.has(keyOf(entity))
  }

  push(pending: Pending): void {
    this.all.push(pending)
    this.#index(pending)
  }

  /** Takes up operations that may be older than those that are here. */
  merge(others: readonly Pending[]): void {
    this.all.push(...others)
    this.all.sort((a, b) => a.stored.seq - b.stored.seq)
    this.#byEntity.clear()
    this.#uses.clear()
    this.#undos = 0
    for (const pending of this.all) this.#index(pending)
  }

  remove(pending: Pending): void {
    const at = this.all.indexOf(pending)
    if (at < 0) return
    this.all.splice(at, 1)
    this.#byId.delete(pending.stored.operationId)
    this.#count(pending, -1)
    for (const key of new Set(pending.stored.writes.map(keyOf))) {
      const rest = (this.#byEntity.get(key) ?? []).filter((other) => other !== pending)
      if (rest.length > 0) this.#byEntity.set(key, rest)
      else this.#byEntity.delete(key)
    }
  }

  #count({ stored }: Pending, by: 1 | -1): void {
    if (stored.intent.type === 'UNDO') this.#undos += by
    for (const entity of [...stored.reads, ...stored.writes]) {
      const key = keyOf(entity)
      const uses = (this.#uses.get(key) ?? 0) + by
      if (uses > 0) this.#uses.set(key, uses)
      else this.#uses.delete(key)
    }
  }

  #index(pending: Pending): void {
    this.#byId.set(pending.stored.operationId, pending)
    this.#count(pending, 1)
    for (const key of new Set(pending.stored.writes.map(keyOf))) {
      const list = this.#byEntity.get(key)
      if (list === undefined) this.#byEntity.set(key, [pending])
      else list.push(pending)
    }
  }
}

function keyOf({ kind, id }: Entity): string {
  return `${kind} ${id}`
}
