/** All nodes, or all edges, of a graph: by id, and in creation order. */

import { IdMap, Trie } from './trie.ts'

/** An entity with what is known of it besides. It is replaced as a whole, never changed. */
export interface Placed<E> {
  /**
   * The node or edge, without the fields that the server adds. It may be exchanged for an equal object, so that
   * pictures keep the objects that they showed.
   */
  entity: E
  /** The place in creation order. */
  readonly ordinal: number
  readonly createdAt: number
  readonly updatedAt: number
  /** The commit that last wrote it. */
  readonly version: number
  /** Where the table keeps it. */
  readonly slot: number
}

export class Table<E> {
  readonly rows: Trie<Placed<E>>
  readonly #slots: IdMap<number>
  #nextSlot: number
  /** How many there are. */
  size: number
  /** Another object after each change of which entities there are, or of their order. */
  shape: object

  constructor(of?: Table<E>) {
    this.rows = of ? of.rows.fork() : new Trie()
    this.#slots = of ? of.#slots.fork() : new IdMap()
    this.#nextSlot = of ? of.#nextSlot : 0
    this.size = of?.size ?? 0
    this.shape = of?.shape ?? {}
  }

  get(id: string): Placed<E> | undefined {
    const slot = this.#slots.get(id)
    return slot === undefined ? undefined : this.rows.get(slot)
  }

  has(id: string): boolean {
    return this.#slots.get(id) !== undefined
  }

  at(slot: number): Placed<E> | undefined {
    return this.rows.get(slot)
  }

  /** Writes over an entity that is there; its place stays. */
  replace(old: Placed<E>, entity: E, version: number, updatedAt: number): Placed<E> {
    const { slot, ordinal, createdAt } = old
    const placed = { entity, ordinal, createdAt, updatedAt, version, slot }
    this.rows.set(slot, placed)
    return placed
  }

  /** Adds an entity that is not there. */
  add(id: string, placed: Omit<Placed<E>, 'slot'>): Placed<E> {
    const slot = this.#nextSlot++
    const row = { ...placed, slot }
    this.#slots.set(id, slot)
    this.rows.set(slot, row)
    this.size += 1
    this.shape = {}
    return row
  }

  remove(id: string): Placed<E> | undefined {
    const slot = this.#slots.get(id)
    if (slot === undefined) return undefined
    const old = this.rows.get(slot)
    this.#slots.set(id, undefined)
    this.rows.set(slot, undefined)
    this.size -= 1
    this.shape = {}
    return old
  }

  /** All, in creation order. */
  inOrder(): Placed<E>[] {
    const rows: Placed<E>[] = []
    let isOrdered = true
    this.rows.each((row) => {
      isOrdered &&= rows.length === 0 || (rows[rows.length - 1] as Placed<E>).ordinal < row.ordinal
      rows.push(row)
    })
    return isOrdered ? rows : rows.sort(byOrdinal)
  }
}

export function byOrdinal(a: { ordinal: number }, b: { ordinal: number }): number {
  return a.ordinal - b.ordinal
}
