/** A map that notes which of its keys were written, so that a reader of many looks only at those. */
export class Marked<V> extends Map<string, V> {
  /** Whoever has looked clears it. */
  readonly changed: Set<string> = new Set()

  override set(key: string, value: V): this {
    this.changed.add(key)
    return super.set(key, value)
  }

  override delete(key: string): boolean {
    this.changed.add(key)
    return super.delete(key)
  }

  override clear(): void {
    for (const key of this.keys()) this.changed.add(key)
    super.clear()
  }
}
