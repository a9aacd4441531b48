/** Why a command is refused. */

/** A refusal; on the wire, `code` is the same. */
export interface Refused {
  readonly ok: false
  readonly code: string
  /** One sentence for a person, without its full stop. */
  readonly message: string
  /** The member of an atomic batch that is refused. */
  readonly index?: number
  /** The entity that is refused, and the field with the id of a node that does not exist. */
  readonly about?: {
    readonly kind: 'node' | 'edge'
    readonly id: string
    readonly field?: string
    readonly missing?: string
  }
}

export function refused(code: string, message: string, about?: Refused['about']): Refused {
  return about === undefined ? { ok: false, code, message } : { ok: false, code, message, about }
}
