/** What a command asks to write: fields with their values. */

import type { Json, JsonObject } from '../api.ts'
import type { Entity, GraphEvent } from '../model/index.ts'
import { type Keys, leavesOf } from './writes.ts'

/** What is asked for on one entity: fields with their values, in the order of the patch. */
export interface Wanted {
  readonly fields: readonly Keys[]
  readonly value: (keys: Keys) => Json
}

export const NOTHING: Wanted = { fields: [], value: () => null }

/** All of the entity becomes this; null: it goes. */
export function wantedWhole(value: Json): Wanted {
  return { fields: [[]], value: () => value }
}

export function wantedPatch(patch: JsonObject, kind: Entity['kind']): Wanted {
  return { fields: leavesOf(patch, kind), value: (keys) => valueAt(patch, keys) ?? null }
}

export function wantedBy(event: GraphEvent | undefined): Wanted {
  if (event === undefined) return NOTHING
  switch (event.type) {
    case 'NodeCreated':
    case 'NodeReplaced':
      return wantedWhole(event.node as Json)
    case 'EdgeCreated':
    case 'EdgeReplaced':
      return wantedWhole(event.edge as Json)
    case 'NodeUpdated':
      return wantedPatch(event.patch, 'node')
    case 'EdgeUpdated':
      return wantedPatch(event.patch, 'edge')
    case 'NodeMoved':
      return { fields: [['position']], value: () => ({ ...event.position }) }
    case 'ViewportSet':
      return wantedWhole(event.viewport)
    default:
      return wantedWhole(null)
  }
}

/** The value that stands at a path; `undefined` where nothing does. */
export function valueAt(value: Json | undefined, keys: Keys): Json | undefined {
  return keys.reduce<Json | undefined>((found, key) => {
    if (typeof found !== 'object' || found === null || Array.isArray(found)) return undefined
    return Object.hasOwn(found, key) ? found[key] : undefined
  }, value)
}

/** Whether merging `yours` at the path would change nothing (rule D3). */
