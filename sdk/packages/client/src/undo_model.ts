/** Loads how undo is decided: a file of its own, because nothing can be undone before a first edit (docs/decisions/0125). */

import { isUndoKnown, provideUndo } from './machine/predict.ts'

let loading: Promise<void> | null = null

/** Resolves when it is there, or could not be loaded: the next call tries again, and the server decides meanwhile. */
export function loadUndo(): Promise<void> {
  loading ??= import('./model/undo/decide_undo.ts')
    .then(({ decideUndo }) => provideUndo(decideUndo))
    .catch(() => {
      loading = null
    })
  return loading
}

export { isUndoKnown }
