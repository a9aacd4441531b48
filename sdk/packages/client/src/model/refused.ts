/** Why a command is refused. */

/** A refusal; on the wire, `code` is the same. */
export interface Refused {
  readonly ok: false
  readonly code: string
  /** One sentence for a person, without its full stop. */
  readonly message: string
  /** The member of an atomic batch that is refused. */
  readonly index?: number
}

export function refused(code: string, message: string): Refused {
  return { ok: false, code, message }
}
