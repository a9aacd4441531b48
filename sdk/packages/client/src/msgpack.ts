/** Frames as MessagePack: smaller, and exact for integers up to 2^53. Needs `@msgpack/msgpack`. */

import { decode, encode } from '@msgpack/msgpack'
import type { Codec, JsonObject } from './api.ts'

/**
 * `dao.v1.msgpack`, for the option `codec` of `createClient`.
 *
 * ```ts
 * createClient({ url, codec: msgpack })
 * ```
 */
export const msgpack: Codec = {
  protocol: 'dao.v1.msgpack',
  encode: (frame) => encode(frame, { ignoreUndefined: true }),
  decode: (data) => decode(new Uint8Array(data as ArrayBuffer)) as JsonObject,
}
