/** How frames are written on the wire. JSON here; `msgpack.ts` has the other. */

import type { Codec, JsonObject } from './api.ts'

/** `dao.v1.json`. Integers beyond 2^53 lose digits on the way; they are never sent back (rule A16). */
export const json: Codec = {
  protocol: 'dao.v1.json',
  encode: (frame) => JSON.stringify(frame),
  decode: (data) => JSON.parse(data as string) as JsonObject,
}
