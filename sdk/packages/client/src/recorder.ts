/** The latest frames and steps, for who inspects a client. Nothing is kept while nobody does. */

import type { Inspected } from './api.ts'
import type { Effect, Input } from './machine/effects.ts'

/** Entries that wait for a reader. The oldest go first. */
const RING = 500

export class Recorder {
  readonly #watchers = new Set<(entry: Inspected) => void>()

  frame(at: number, direction: 'in' | 'out', frame: unknown): void {
    if (this.#watchers.size > 0) this.#tell({ type: 'frame', at, direction, frame })
  }

  step(at: number, graphId: string, input: Input, effects: readonly Effect[]): void {
    if (this.#watchers.size > 0) this.#tell({ type: 'step', at, graphId, input, effects })
  }

  #tell(entry: Inspected): void {
    for (const watcher of this.#watchers) watcher(entry)
  }

  /** What happens from now on. It ends when the reader leaves the loop. */
  watch(): AsyncIterableIterator<Inspected> {
    const waiting: Inspected[] = []
    let wake: (() => void) | null = null
    let isEnded = false
    const watcher = (entry: Inspected): void => {
      waiting.push(entry)
      if (waiting.length > RING) waiting.shift()
      wake?.()
    }
    this.#watchers.add(watcher)
    const end = (): IteratorResult<Inspected> => {
      isEnded = true
      this.#watchers.delete(watcher)
      wake?.()
      return { done: true, value: undefined }
    }
    return {
      next: async () => {
        while (waiting.length === 0 && !isEnded) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
        const value = waiting.shift()
        return value === undefined ? end() : { done: false, value }
      },
      return: async () => end(),
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }
}
