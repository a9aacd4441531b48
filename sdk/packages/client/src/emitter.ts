/** Listeners of something that changes. */

export class Emitter<T = void> {
  readonly #listeners = new Set<(value: T) => void>()

  on(listener: (value: T) => void): () => void {
    // A listener that is added twice is called twice.
    const own = (value: T): void => listener(value)
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  get isHeard(): boolean {
    return this.#listeners.size > 0
  }

  /** Calls all. What one of them throws reaches the program, not the other listeners. */
  emit(value: T): void {
    for (const listener of [...this.#listeners]) {
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

/** Listeners by the name of what happens. */
export class Emitters<Events> {
  readonly #byName = new Map<keyof Events, Emitter<unknown>>()

  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    const emitter = this.#byName.get(event) ?? new Emitter<unknown>()
    this.#byName.set(event, emitter)
    return emitter.on(listener as (value: unknown) => void)
  }

  /** Whether anybody listens. */
  has(event: keyof Events): boolean {
    return this.#byName.get(event)?.isHeard === true
  }

  emit<E extends keyof Events>(event: E, value: Events[E]): void {
    this.#byName.get(event)?.emit(value)
  }
}
