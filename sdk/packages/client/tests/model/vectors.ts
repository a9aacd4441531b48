/** The golden vectors that the server's code writes: see `tests/spec/vectors.rs`. */

import { readFileSync } from 'node:fs'
import type { JsonObject, OnConflict } from '../../src/api.ts'
import type { Action, GraphEvent } from '../../src/model/index.ts'
import { fold, GraphState } from '../../src/model/index.ts'

/** The limits that the vectors were written with (rule O3). */
export const LIMITS: { entityBytes: number; nodes: number; edges: number } = { entityBytes: 4096, nodes: 8, edges: 8 }

export interface CommitVector {
  version: number
  timestamp: number
  operationId: string
  userId: string
  clientId: string
  named: boolean
  events: GraphEvent[]
}

export interface DecideVector {
  action: Action
  events?: GraphEvent[]
  skipped?: { index: number; code: string }[]
  code?: string
  index?: number | null
}

export interface ConflictVector {
  asked: { user: string; named: boolean; clientVersion: number; onConflict: OnConflict; action: Action }
  verdict: {
    outcome?: string
    events?: GraphEvent[]
    skipped?: { index: number; code: string }[]
    code?: string
    index?: number | null
    conflicts?: JsonObject[] | null
  }
}

export interface UndoVector {
  versions: number[]
  onConflict: OnConflict
  verdict: {
    code?: string
    events?: GraphEvent[]
    reverted?: JsonObject[]
    skipped?: JsonObject[]
    detached?: string[]
  }
}

export interface Group<T> {
  commits: CommitVector[]
  cases: T[]
}

export function read<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`../../../../vectors/${name}.json`, import.meta.url), 'utf8'))
}

export function stateAfter(commits: readonly CommitVector[]): GraphState {
  return commits.reduce((state, commit) => fold(state, commit.events, commit), new GraphState())
}
