/** Listeners of something that changes. */

export class Emitter<T = void> {
  private readonly listeners = new Set<(value: T) => void>()

  on(listener: (value: T) => void): () => void {
    // A listener that is added twice is called twice.
    const own = (value: T): void => listener(value)
    this.listeners.add(own)
    return () => this.listeners.delete(own)
  }

  /** Calls all. What one of them throws reaches the program, not the other listeners. */
  emit(value: T): void {
    for (const listener of [...this.listeners]) {
      try {
        listener(value)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
