/**
 * A collector: what one gesture did to which entity. It is a layer over the graph that the view shows at once, and
 * becomes one command or one atomic batch.
 */

import { addLeaf, type Fields, type Leaf, writeAll } from './leaves.ts'
import { difference, type LocalRules } from './local.ts'
import { Marked } from './marked.ts'

export type Edit =
  | { readonly kind: 'create'; readonly entity: Fields }
  | { readonly kind: 'write'; readonly leaves: readonly Leaf[] }
  | { readonly kind: 'remove' }

/** Edits of nodes, or of edges, by id. An entry is replaced, never changed, so that its identity says if it is the same. */
export class Edits {
  readonly byId: Marked<Edit> = new Marked()

  get isEmpty(): boolean {
    return this.byId.size === 0
  }

  create(id: string, entity: Fields, before: Fields | undefined, rules: LocalRules): void {
    if (this.byId.get(id)?.kind === 'remove' && before !== undefined) {
      this.byId.delete(id)
      this.write(id, difference(before, entity, rules).shared)
    } else {
      this.byId.set(id, { kind: 'create', entity })
    }
  }

  write(id: string, leaves: readonly Leaf[]): void {
    const earlier = this.byId.get(id)
    if (leaves.length === 0 || earlier?.kind === 'remove') return
    if (earlier?.kind === 'create') {
      this.byId.set(id, { kind: 'create', entity: writeAll(earlier.entity, leaves) })
    } else {
      this.byId.set(id, { kind: 'write', leaves: leaves.reduce(addLeaf, earlier?.leaves ?? []) })
    }
  }

  remove(id: string): void {
    if (this.byId.get(id)?.kind === 'create') this.byId.delete(id)
    else this.byId.set(id, { kind: 'remove' })
  }

  /** Takes later edits on top. */
  add(later: Edits): void {
    for (const [id, edit] of later.byId) {
      if (edit.kind === 'write') this.write(id, edit.leaves)
      else if (edit.kind === 'remove') this.remove(id)
      else this.byId.set(id, edit)
    }
  }
}

/** Edits of nodes and of edges. */
export class Layer {
  readonly node: Edits = new Edits()
  readonly edge: Edits = new Edits()

  get isEmpty(): boolean {
    return this.node.isEmpty && this.edge.isEmpty
  }

  /** All of it; nothing is left here. */
  take(): Layer {
    return new Layer().move(this)
  }

  /** Takes another layer's edits on top of these; nothing is left there. */
  move(later: Layer): this {
    for (const kind of ['node', 'edge'] as const) {
      this[kind].add(later[kind])
      later[kind].byId.clear()
    }
    return this
  }
}

/** An entity with an edit on top; `undefined` if it is removed. */
export function edited(entity: Fields, edit: Edit | undefined): Fields | undefined {
  if (edit === undefined) return entity
  if (edit.kind === 'remove') return undefined
  return edit.kind === 'create' ? edit.entity : writeAll(entity, edit.leaves)
}
