/** The steps that Ctrl+Z takes back, and those that it took back (rule U13). Plain lists of operation ids. */

import type { UndoState } from '../api.ts'
import type { StoredOperation, Target } from './operation.ts'

/** One step: the operations that Ctrl+Z takes back together. */
export interface Step {
  readonly label: string | null
  readonly group: string | null
  readonly operations: readonly Target[]
  /** Instead of operations: what never was sent, to be made again by redo. */
  readonly drafts: readonly StoredOperation[]
}

export interface StoredHistory {
  readonly undo: readonly Step[]
  readonly redo: readonly Step[]
}

/** Steps that are remembered. The oldest goes first. */
const STEPS_MAX = 200
/** Operations that one `UNDO` takes back (rule U1). */
const OPERATIONS_MAX = 1_000

export class UndoStack {
  readonly #lists: { undo: Step[]; redo: Step[] } = { undo: [], redo: [] }

  /** Takes up earlier steps. After an edit, what was taken back before it can't be put back any more. */
  load(stored: StoredHistory): void {
    if (this.#lists.undo.length + this.#lists.redo.length === 0) this.#lists.redo = [...stored.redo]
    this.#lists.undo = [...stored.undo, ...this.#lists.undo].slice(-STEPS_MAX)
  }

  stored(): StoredHistory {
    return { undo: [...this.#lists.undo], redo: [...this.#lists.redo] }
  }

  state(): UndoState {
    const [undo, redo] = [this.#lists.undo.at(-1), this.#lists.redo.at(-1)]
    return {
      canUndo: undo !== undefined,
      canRedo: redo !== undefined,
      undoLabel: undo?.label ?? null,
      redoLabel: redo?.label ?? null,
    }
  }

  /** An edit was made: it is the latest step, or part of it. What was taken back can't be put back any more. */
  edited(operationId: string, label: string | null, group: string | null): void {
    this.#lists.redo = []
    const target = { operationId, version: null }
    const last = this.#lists.undo.at(-1)
    if (last && group !== null && last.group === group && last.operations.length < OPERATIONS_MAX) {
      this.#lists.undo[this.#lists.undo.length - 1] = { ...last, operations: [...last.operations, target] }
    } else {
      this.push('undo', { label, group, operations: [target], drafts: [] })
    }
  }

  push(list: 'undo' | 'redo', step: Step): void {
    this.#lists[list].push(step)
    if (this.#lists[list].length > STEPS_MAX) this.#lists[list].shift()
  }

  take(list: 'undo' | 'redo'): Step | undefined {
    return this.#lists[list].pop()
  }

  /** The latest step. */
  last(list: 'undo' | 'redo'): Step | undefined {
    return this.#lists[list].at(-1)
  }

  clear(): void {
    this.#lists.undo = []
    this.#lists.redo = []
  }

  /** Whether the operation is part of a step. */
  knows(operationId: string): boolean {
    return this.#place(this.#lists.undo, operationId) >= 0 || this.#place(this.#lists.redo, operationId) >= 0
  }

  /** The step that has the operation. The newest are the likeliest. */
  #place(steps: readonly Step[], operationId: string): number {
    for (let at = steps.length - 1; at >= 0; at--) {
      if (steps[at]?.operations.some((target) => target.operationId === operationId)) return at
    }
    return -1
  }

  /** The operation was committed as this version. Whether a step has it. */
  reached(operationId: string, version: number): boolean {
    return this.#replace(operationId, { operationId, version })
  }

  /** The operation made no commit: there is nothing of it to take back. Whether a step had it. */
  gone(operationId: string): boolean {
    return this.#replace(operationId, null)
  }

  #replace(operationId: string, by: Target | null): boolean {
    for (const steps of [this.#lists.undo, this.#lists.redo]) {
      const at = this.#place(steps, operationId)
      const step = steps[at]
      if (step === undefined) continue
      const operations = step.operations.flatMap((target) => {
        if (target.operationId !== operationId) return [target]
        return by === null ? [] : [by]
      })
      const isEmpty = operations.length + step.drafts.length === 0
      steps.splice(at, 1, ...(isEmpty ? [] : [{ ...step, operations }]))
      return true
    }
    return false
  }
}
