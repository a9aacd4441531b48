/** A hash that was noted earlier, compared with the history that the server has now (V4). Pure. */
import type { Changes } from './wire_types.ts'

export interface Noted {
  /** `null`: only the hash was noted. */
  readonly version: number | null
  readonly hash: string
}

export interface Match {
  /** `elsewhere`: a hash without its version is not the one of the version that it was compared with, nothing more. */
  readonly kind: 'same' | 'other' | 'ahead' | 'elsewhere'
  readonly version: number
}

/** `1482:9f3c…`, `v1,482 9f3c…` or the hash alone; `null` for anything else. */
export function parseNoted(text: string): Noted | null {
  const read = /^\s*(?:v?([\d,]+)\s*[:\s]\s*)?([0-9a-f]{64})\s*$/i.exec(text)
  if (read === null) return null
  const version = read[1] === undefined ? null : Number(read[1].replaceAll(',', ''))
  return { version, hash: read[2]!.toLowerCase() }
}

/** `version` is the one that was asked for: the noted one, or that of the head. */
export function matchOf(
  noted: Noted,
  version: number,
  { currentVersion, reset }: Pick<Changes, 'currentVersion' | 'reset'>,
): Match {
  if (noted.version === null) return { kind: reset === true ? 'elsewhere' : 'same', version }
  if (version > currentVersion) return { kind: 'ahead', version }
  return { kind: reset === true ? 'other' : 'same', version }
}
