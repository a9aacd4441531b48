/**
 * Persistent collections: a copy costs a few pointers, and a change copies one path of a tree.
 *
 * A collection is changed in place, and {@link Trie.fork} gives an independent copy. Branches belong to the copy that
 * made them, so many changes of one copy cost little more than changes of a plain array.
 */

const BITS = 5
const WIDTH = 1 << BITS
const MASK = WIDTH - 1

class Branch {
  readonly owner: object
  readonly slots: unknown[]
  constructor(owner: object, slots: unknown[]) {
    this.owner = owner
    this.slots = slots
  }
}

/** Values by small non-negative integers. An absent value is `undefined`. */
export class Trie<V> {
  #root: Branch
  #shift: number
  #owner: object = {}

  constructor() {
    this.#root = new Branch(this.#owner, [])
    this.#shift = 0
  }

  /** An independent copy. */
  fork(): Trie<V> {
    const copy = new Trie<V>()
    copy.#root = this.#root
    copy.#shift = this.#shift
    this.#owner = {}
    return copy
  }

  get(index: number): V | undefined {
    if (index >>> this.#shift >= WIDTH) return undefined
    let branch: Branch | undefined = this.#root
    for (let shift = this.#shift; shift > 0; shift -= BITS) {
      branch = branch.slots[(index >>> shift) & MASK] as Branch | undefined
      if (branch === undefined) return undefined
    }
    return branch.slots[index & MASK] as V | undefined
  }

  set(index: number, value: V | undefined): void {
    while (index >>> this.#shift >= WIDTH) {
      if (value === undefined) return
      this.#root = new Branch(this.#owner, [this.#root])
      this.#shift += BITS
    }
    this.#root = this.#write(this.#root, this.#shift, index, value) ?? new Branch(this.#owner, [])
  }

  /** The branch with the value; `undefined` if it is empty then. */
  #write(branch: Branch | undefined, shift: number, index: number, value: V | undefined): Branch | undefined {
    const own = this.#own(branch)
    const at = (index >>> shift) & MASK
    own.slots[at] = shift === 0 ? value : this.#write(own.slots[at] as Branch | undefined, shift - BITS, index, value)
    return own.slots[at] === undefined && own.slots.every((slot) => slot === undefined) ? undefined : own
  }

  #own(branch: Branch | undefined): Branch {
    if (branch === undefined) return new Branch(this.#owner, [])
    return branch.owner === this.#owner ? branch : new Branch(this.#owner, branch.slots.slice())
  }

  /** Calls `visit` for each value, by index. */
  each(visit: (value: V, index: number) => void): void {
    walk<V>(this.#root, this.#shift, 0, visit)
  }

  /** Calls `visit` for each index at which this differs from `other`. Shared branches are passed over. */
  differences(other: Trie<V>, visit: (mine: V | undefined, theirs: V | undefined) => void): void {
    let [mine, theirs] = [this.#root, other.#root]
    for (let shift = this.#shift; shift < other.#shift; shift += BITS) mine = new Branch(OUTSIDE, [mine])
    for (let shift = other.#shift; shift < this.#shift; shift += BITS) theirs = new Branch(OUTSIDE, [theirs])
    compare<V>(mine, theirs, Math.max(this.#shift, other.#shift), visit)
  }
}

const OUTSIDE = {}

function walk<V>(branch: Branch, shift: number, base: number, visit: (value: V, index: number) => void): void {
  const { slots } = branch
  for (let at = 0; at < slots.length; at++) {
    const slot = slots[at]
    if (slot === undefined) continue
    const index = base + at * 2 ** shift
    if (shift === 0) visit(slot as V, index)
    else walk(slot as Branch, shift - BITS, index, visit)
  }
}

function compare<V>(
  mine: Branch | undefined,
  theirs: Branch | undefined,
  shift: number,
  visit: (mine: V | undefined, theirs: V | undefined) => void,
): void {
  if (mine === theirs) return
  const width = Math.max(mine?.slots.length ?? 0, theirs?.slots.length ?? 0)
  for (let at = 0; at < width; at++) {
    const [a, b] = [mine?.slots[at], theirs?.slots[at]]
    if (a === b) continue
    if (shift === 0) visit(a as V | undefined, b as V | undefined)
    else compare(a as Branch | undefined, b as Branch | undefined, shift - BITS, visit)
  }
}

/** Buckets of a hash table: enough for a few entries each at 200,000 ids. */
const HASH_BITS = 15

/** Values by id. */
export class IdMap<V> {
  readonly #buckets: Trie<readonly unknown[]>

  constructor(buckets: Trie<readonly unknown[]> = new Trie()) {
    this.#buckets = buckets
  }

  /** An independent copy. */
  fork(): IdMap<V> {
    return new IdMap(this.#buckets.fork())
  }

  get(id: string): V | undefined {
    const bucket = this.#buckets.get(hash(id))
    if (bucket === undefined) return undefined
    for (let at = 0; at < bucket.length; at += 2) if (bucket[at] === id) return bucket[at + 1] as V
    return undefined
  }

  /** Sets the value of an id; `undefined` removes it. */
  set(id: string, value: V | undefined): void {
    const at = hash(id)
    const old = this.#buckets.get(at)
    const found = old === undefined ? -1 : old.indexOf(id)
    if (old === undefined || found < 0) {
      if (value === undefined) return
      const bucket = old === undefined ? [] : old.slice()
      bucket.push(id, value)
      this.#buckets.set(at, bucket)
      return
    }
    const bucket = old.slice()
    if (value === undefined) bucket.splice(found, 2)
    else bucket[found + 1] = value
    this.#buckets.set(at, bucket.length > 0 ? bucket : undefined)
  }

  each(visit: (value: V, id: string) => void): void {
    this.#buckets.each((bucket) => {
      for (let at = 0; at < bucket.length; at += 2) visit(bucket[at + 1] as V, bucket[at] as string)
    })
  }
}

function hash(id: string): number {
  let sum = id.length
  for (let at = 0; at < id.length; at++) sum = (Math.imul(sum, 31) + id.charCodeAt(at)) | 0
  return (sum ^ (sum >>> HASH_BITS)) & ((1 << HASH_BITS) - 1)
}
