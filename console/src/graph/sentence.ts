/**
 * A refusal as a sentence (K7): "Refused: ada wanted `/data/label` = "Go"; bob had set it to "Begin" in v4, 12 s earlier."
 *
 * A sentence is a list of parts, so that a screen can link versions and operations without parsing text. Pure.
 */
import { duration } from '../shared/time.tsx'
import { shortValue, v } from './text.ts'
import type { AuditedOperation, WireConflict } from './wire_types.ts'

export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'user'; readonly text: string }
  | { readonly kind: 'version'; readonly text: string; readonly version: number }
  | { readonly kind: 'entity'; readonly text: string; readonly entity: 'node' | 'edge'; readonly id: string }

export interface RefusalSentence {
  readonly parts: readonly Part[]
  /** The commit that was in the way; `null` if the server names none. */
  readonly commit: number | null
  /** The node or edge that it is about; `null` if it is the graph itself. */
  readonly about: { readonly kind: 'node' | 'edge'; readonly id: string } | null
  readonly path: string | null
  /** The further fields that conflict, one sentence each. */
  readonly more: readonly (readonly Part[])[]
  readonly policies: readonly Policy[]
}

export interface Policy {
  readonly name: 'merge' | 'overwrite' | 'reject'
  readonly would: string
}

type Refused = Pick<AuditedOperation, 'userId' | 'commandType' | 'timestamp' | 'version' | 'error'>

/** `timeOf` gives the time of a commit that is known already. */
export function refusalSentence(
  operation: Refused,
  timeOf: (version: number) => number | undefined = () => undefined,
): RefusalSentence {
  const conflicts = operation.error?.resolution?.conflicts ?? []
  const [first, ...rest] = conflicts
  const code = operation.error?.code ?? 'UNKNOWN'
  const begin = [text('Refused: '), user(operation.userId), text(' wanted ')]
  const parts =
    first === undefined
      ? [...begin, text('to run '), code_(operation.commandType), text(`. ${operation.error?.detail ?? ''}`)]
      : [...begin, ...wish(operation, first), text('; '), ...standing(operation, first, timeOf), text('.')]
  return {
    parts,
    commit: first?.version ?? null,
    about: first === undefined ? null : aboutOf(first),
    path: first?.path ?? null,
    more: rest.map((conflict) => [
      code_(conflict.path === '' ? conflict.id : conflict.path),
      text(' of '),
      entity(conflict),
      text(': '),
      ...standing(operation, conflict, timeOf),
    ]),
    policies: policiesOf(code),
  }
}

/** The sentence as plain text, for `aria-label` and tests. */
export function plain(parts: readonly Part[]): string {
  return parts.map((part) => part.text).join('')
}

function wish(operation: Refused, conflict: WireConflict): Part[] {
  if (conflict.path === '') {
    if (conflict.yours === null) return [text('to delete '), entity(conflict)]
    return [text('to write '), entity(conflict), text(` (${operation.commandType})`)]
  }
  if (conflict.yours === null) return [text('to remove '), code_(conflict.path), text(' of '), entity(conflict)]
  return [code_(conflict.path), text(' = '), code_(shortValue(conflict.yours)), text(' on '), entity(conflict)]
}

function standing(operation: Refused, conflict: WireConflict, timeOf: (version: number) => number | undefined): Part[] {
  const at = timeOf(conflict.version)
  const earlier = at === undefined ? '' : `, ${duration(operation.timestamp - at)} earlier`
  const deleted = conflict.path === '' && conflict.current === null
  const did = deleted ? ' had deleted it in ' : conflict.current === null ? ' had removed it in ' : ' had set it to '
  const value = conflict.current === null ? [] : [code_(shortValue(conflict.current)), text(' in ')]
  return [user(conflict.userId), text(did), ...value, version(conflict.version), text(earlier)]
}

/** What each policy of rule D5 would have done with the same command. */
function policiesOf(code: string): Policy[] {
  switch (code) {
    case 'CONFLICT':
      return [
        { name: 'merge', would: 'Refuses, because both wrote the same field. Other fields would have been merged.' },
        { name: 'overwrite', would: 'Writes the value; the other one stays in the history.' },
        { name: 'reject', would: 'Refuses, also if only other fields of the same entity had changed.' },
      ]
    case 'TARGET_DELETED':
      return [
        { name: 'merge', would: 'Refuses, because the target is gone.' },
        { name: 'overwrite', would: 'Refuses too: nothing can be written to what is gone. Undo the deletion first.' },
        { name: 'reject', would: 'Refuses.' },
      ]
    case 'UNDO_CONFLICT':
      return [
        { name: 'merge', would: 'Takes back what still stands; refuses if nothing does.' },
        { name: 'overwrite', would: 'Takes it back whatever others wrote since.' },
        { name: 'reject', would: 'Refuses if anything would be skipped.' },
      ]
    default:
      return []
  }
}

function text(of: string): Part {
  return { kind: 'text', text: of }
}

function code_(of: string): Part {
  return { kind: 'code', text: of }
}

function user(of: string): Part {
  return { kind: 'user', text: of }
}

function version(of: number): Part {
  return { kind: 'version', text: v(of), version: of }
}

function aboutOf({ entity: kind, id }: WireConflict): RefusalSentence['about'] {
  return kind === 'graph' || kind === 'viewport' ? null : { kind, id }
}

function entity({ entity: kind, id }: WireConflict): Part {
  if (kind === 'graph') return text('the graph')
  if (kind === 'viewport') return text('the viewport')
  return { kind: 'entity', text: `${kind} ${id}`, entity: kind, id }
}
