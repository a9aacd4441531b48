/** Who else is here, and what this client shows of itself (rules A15, W7). */

import type { Json, JsonObject, Presence, PresenceWriter } from './api.ts'
import { Emitter } from './emitter.ts'
import type { Environment } from './environment.ts'
import type { PresenceFrame } from './machine/frames.ts'
import { isEqual, plain } from './model/index.ts'

/** Between two frames of one slot. The server passes on 30 a second. Milliseconds. */
const INTERVAL = 34

export class Presences implements PresenceWriter {
  readonly changed: Emitter = new Emitter()
  /** The same array while nothing changed. */
  others: readonly Presence[] = []
  readonly #own = new Map<string, Json>()
  readonly #sentAt = new Map<string, number>()
  readonly #waiting = new Map<string, () => void>()
  readonly #environment: Environment
  readonly #send: (frame: JsonObject) => void
  readonly #envelope: () => JsonObject
  #isLive = false

  constructor(environment: Environment, envelope: () => JsonObject, send: (frame: JsonObject) => void) {
    this.#environment = environment
    this.#envelope = envelope
    this.#send = send
  }

  /** Shows a state in a slot; `null` shows nothing. The first is sent at once, of the others the latest. */
  set(state: Json | null, slot = ''): void {
    if (isEqual(this.#own.get(slot) ?? null, state)) return
    if (state === null) this.#own.delete(slot)
    else this.#own.set(slot, plain(state))
    if (this.#waiting.has(slot) || !this.#isLive) return
    const wait = (this.#sentAt.get(slot) ?? 0) + INTERVAL - this.#environment.now()
    if (wait <= 0) this.#tell(slot)
    else
      this.#waiting.set(
        slot,
        this.#environment.after(wait, () => this.#tell(slot)),
      )
  }

  /** Shows nothing any more. */
  clear(): void {
    for (const slot of [...this.#own.keys()]) this.set(null, slot)
  }

  #tell(slot: string): void {
    this.#waiting.delete(slot)
    // Nobody looks at the cursor of a page that nobody sees. It is sent when the page is seen again.
    const isQuiet = !this.#environment.isVisible() && this.#own.has(slot)
    if (!this.#isLive || isQuiet) return
    this.#sentAt.set(slot, this.#environment.now())
    const frame: JsonObject = { type: 'PRESENCE', ...this.#envelope() }
    if (slot !== '') frame.slot = slot
    this.#send({ ...frame, state: this.#own.get(slot) ?? null })
  }

  /** The graph is followed: the server knows nothing of earlier connections. */
  live(): void {
    if (this.#isLive) return
    this.#isLive = true
    for (const slot of this.#own.keys()) this.#tell(slot)
  }

  /** The page is seen again. */
  wake(): void {
    if (this.#isLive) for (const slot of this.#own.keys()) this.#tell(slot)
  }

  /** The graph is not followed any more, and what was told of others is not known to hold. */
  away(): void {
    this.#isLive = false
    for (const stop of this.#waiting.values()) stop()
    this.#waiting.clear()
    if (this.others.length === 0) return
    this.others = []
    this.changed.emit()
  }

  take({ clientId, userId, slot = '', state }: PresenceFrame): void {
    const at = this.others.findIndex((other) => other.clientId === clientId && other.userId === userId)
    const { [slot]: _, ...slots } = this.others[at]?.slots ?? {}
    const now = state === null ? slots : { ...slots, [slot]: state }
    const rest = this.others.filter((_, index) => index !== at)
    const isGone = Object.keys(now).length === 0
    if (isGone && at < 0) return
    if (isGone) this.others = rest
    else if (at < 0) this.others = [...rest, { clientId, userId, slots: now }]
    else this.others = this.others.map((other, index) => (index === at ? { clientId, userId, slots: now } : other))
    this.changed.emit()
  }
}
