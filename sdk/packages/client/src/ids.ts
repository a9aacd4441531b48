/** Ids that sort by the time they were made (UUIDv7, RFC 9562). */

/**
 * A new id for a node or an edge, as `createNode` makes it, also on pages without TLS. Ids of different milliseconds sort
 * by time; those of one millisecond are in no order.
 */
export function newId(): string {
  return uuidV7(Date.now())
}

/** The same with a clock of one's own. `now` is Unix milliseconds. */
export function uuidV7(now: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  for (let at = 5, rest = now; at >= 0; at--, rest = Math.floor(rest / 256)) bytes[at] = rest % 256
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
