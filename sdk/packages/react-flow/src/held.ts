/**
 * Edits that are not sent yet because they go on: a drag or resize until it ends, arrow keys and typing until they pause.
 * One at a time: when another begins, the earlier one is sent first.
 */
import type { BatchOptions, Graph, GraphNode, Status } from '@dao-api/client'
import type { NodeChange } from '@xyflow/react'
import { absolute } from './clipboard.ts'
import { Layer } from './edits.ts'
import type { Leaf } from './leaves.ts'
import type { Surroundings } from './options.ts'
import { DRAG, dragState } from './presence.ts'

/** A pause of this length ends typing and moves by keys. */
export const IDLE_MS = 300
/** Others see typed text after this time at the latest. */
export const TYPING_MS_MAX = 1000
/** What follows within this time is the same step of undo. */
export const UNDO_GROUP_MS = 500

type Kind = 'none' | 'gesture' | 'keys' | 'typing'

type Around = Pick<Surroundings, 'now' | 'after' | 'newId'>

export class Held {
  readonly edits: Layer = new Layer()
  readonly #of: { readonly graph: Graph }
  readonly #around: Around
  readonly #flush: () => void
  #kind: Kind = 'none'
  /** Nodes that are being dragged or resized. */
  readonly #active = new Set<string>()
  #takesArray = false
  /** The field that is typed into. */
  #field = ''
  #since: Status['point'] | null = null
  #began = 0
  #stopTimer: (() => void) | null = null
  /** The step of undo that typing or keys belong to. The steps outlive the flow, so its name is like no other. */
  #group = { of: '', name: '', at: Number.NEGATIVE_INFINITY }
  #shown = false

  constructor(of: { readonly graph: Graph }, around: Around, flush: () => void) {
    this.#of = of
    this.#around = around
    this.#flush = flush
  }

  /** A drag or resize goes on. */
  get isOpen(): boolean {
    return this.#kind === 'gesture' && this.#active.size > 0
  }

  /** A drag or resize has ended and is to be sent. */
  get isDue(): boolean {
    return this.#kind === 'gesture' && this.#active.size === 0
  }

  /** Places and sizes of the changes at hand belong to what is held. */
  get takesLayout(): boolean {
    return this.#kind === 'gesture' || this.#takesArray
  }

  /** Reads the flags of an array of changes, before the changes themselves. */
  begin(changes: readonly NodeChange[]): void {
    const going = changes.flatMap((change) => (isGoing(change) ? [change.id] : []))
    if (going.length > 0) {
      this.#become('gesture')
      for (const id of going) this.#active.add(id)
    } else if (
      this.#kind !== 'gesture' &&
      changes.some((change) => change.type === 'position' && change.dragging === false)
    ) {
      // Without a drag before it, this is a move by arrow keys.
      this.#become('keys')
      this.#takesArray = true
    }
  }

  /** Reads them again, after the changes: a gesture ends when none of its nodes goes on. */
  end(changes: readonly NodeChange[]): void {
    this.#takesArray = false
    if (this.#kind === 'keys') this.#wait(IDLE_MS)
    if (this.#kind !== 'gesture') return
    for (const change of changes) if (hasEnded(change)) this.#active.delete(change.id)
  }

  layout(id: string, leaves: readonly Leaf[]): void {
    this.#since ??= this.#of.graph.status.point
    this.edits.node.write(id, leaves)
  }

  /** Returns `false` while a gesture goes on, which typing must not end. */
  type(kind: 'node' | 'edge', id: string, leaf: Leaf): boolean {
    if (this.#kind === 'gesture') return false
    const field = JSON.stringify([kind, id, leaf.path])
    if (this.#kind === 'typing' && this.#field !== field) this.#flush()
    this.#become('typing')
    this.#field = field
    this.#since ??= this.#of.graph.status.point
    this.edits[kind].write(id, [leaf])
    this.#wait(Math.min(IDLE_MS, Math.max(0, this.#began + TYPING_MS_MAX - this.#around.now())))
    return true
  }

  /** Gives up what is held, to be sent. A drag that goes on stays open and goes on from there. */
  take(): { edits: Layer; options: BatchOptions } {
    const taken = { options: this.#options(), edits: this.edits.take() }
    this.#since = null
    this.#stop()
    if (!this.isOpen) this.#kind = 'none'
    return taken
  }

  /** A node was deleted: nothing is held for it, and it is not waited for. */
  forget(id: string): void {
    this.edits.node.byId.delete(id)
    this.#active.delete(id)
  }

  /** Shows others where nodes are on their way. */
  show(view: (id: string) => GraphNode | undefined): void {
    if (this.edits.node.isEmpty || this.#kind === 'typing' || this.#kind === 'none') {
      if (this.#shown) this.#of.graph.presence.set(null, DRAG)
      this.#shown = false
      return
    }
    this.#shown = true
    const going = [...this.edits.node.byId].flatMap(([id, edit]) => {
      const node = view(id)
      if (node === undefined || edit.kind !== 'write') return []
      const { x, y } = absolute(node, view)
      return [{ node, leaves: edit.leaves, box: { x, y, ...sizeOf(node) } }]
    })
    this.#of.graph.presence.set(dragState(going), DRAG)
  }

  #become(kind: Kind): void {
    if (this.#kind === kind) return
    if (this.#kind !== 'none') this.#flush()
    this.#kind = kind
    this.#began = this.#around.now()
    this.#active.clear()
  }

  #wait(ms: number): void {
    this.#stop()
    this.#stopTimer = this.#around.after(ms, () => {
      this.#stopTimer = null
      this.#flush()
    })
  }

  #stop(): void {
    this.#stopTimer?.()
    this.#stopTimer = null
  }

  #options(): BatchOptions {
    const since = this.#since === null ? {} : { since: this.#since }
    if (this.#kind !== 'typing' && this.#kind !== 'keys') return since
    const now = this.#around.now()
    const of = this.#kind === 'typing' ? this.#field : JSON.stringify([...this.edits.node.byId.keys()])
    const goesOn = this.#group.of === of && now - this.#group.at < UNDO_GROUP_MS + IDLE_MS
    this.#group = { of, name: goesOn ? this.#group.name : this.#around.newId(), at: now }
    return { ...since, undoGroup: this.#group.name }
  }
}

function isGoing(change: NodeChange): change is Extract<NodeChange, { type: 'position' | 'dimensions' }> {
  return (
    (change.type === 'position' && change.dragging === true) ||
    (change.type === 'dimensions' && change.resizing === true)
  )
}

function hasEnded(change: NodeChange): change is Extract<NodeChange, { type: 'position' | 'dimensions' }> {
  return (
    (change.type === 'position' && change.dragging === false) ||
    (change.type === 'dimensions' && change.resizing === false)
  )
}

function sizeOf(node: GraphNode): { width: number; height: number } {
  const measured = node.measured as { width?: number; height?: number } | undefined
  const width = typeof node.width === 'number' ? node.width : measured?.width
  const height = typeof node.height === 'number' ? node.height : measured?.height
  return { width: width ?? 0, height: height ?? 0 }
}
