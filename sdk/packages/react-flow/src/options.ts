/** What a flow store is given. Nothing here has behaviour. */
import type { Graph } from '@dao-api/client'
import type { Connection, Edge } from '@xyflow/react'
import type { LocalPaths } from './local.ts'

export interface FlowOptions<E extends Edge = Edge> {
  /** Paths that stay on this screen, by type of node or edge (`*` for all): `{ task: ['data.hover'] }`. */
  local?: LocalPaths
  /** What a new edge has beside its ends, for example its `type` or `data`. */
  newEdge?: (connection: Connection) => Partial<Omit<E, 'id' | 'source' | 'target'>>
  /** How others see this person. Left out: the user id, in a colour made of it. */
  me?: { name?: string; color?: string }
}

/** How the store gets its graph, and for how long it needs it. */
export interface Lease {
  open: () => Graph
  retain: () => { graph: Graph; release: () => void }
}

/** What the store takes from its surroundings. */
export interface Surroundings {
  /** Milliseconds on a clock that never goes back. */
  now: () => number
  /** Runs `callback` before the next frame is painted; also in a hidden tab. Returns the way to stop it. */
  frame: (callback: () => void) => () => void
  /** Runs `callback` after `ms` milliseconds. Returns the way to stop it. */
  after: (ms: number, callback: () => void) => () => void
  /** Calls `callback` when the page is about to be hidden or left. Returns the way to stop it. */
  leaving: (callback: () => void) => () => void
  newId: () => string
  warn: (message: string) => void
}
