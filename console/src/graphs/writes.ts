/** What only the list of graphs writes, each under the operation id that it is given. */
import { type ApiError, isPassing, newOperationId, send } from '../shared/api.ts'
import { command } from '../shared/graph_writes.ts'
import { seg } from '../shared/links.ts'
import { type Accepted, attributesOf, type GraphRow } from '../shared/types.ts'
import { asApiError } from '../shared/use_load.ts'
import type { FlowDocument } from './flow_file.ts'

export interface NewAttributes {
  title?: string
  description?: string
  owner?: string
  tags?: string[]
}

export const createGraph = (
  graphId: string,
  attributes: NewAttributes,
  operationId: string,
  document?: FlowDocument,
): Promise<Accepted> =>
  command(graphId, 'CREATE_GRAPH', { attributes, ...(document === undefined ? {} : { document }) }, operationId)

/** `null` removes a field. `seen` is the version that the user saw: what others wrote since is a conflict. */
export const updateGraph = (graphId: string, updates: object, seen: number, operationId: string): Promise<Accepted> =>
  command(graphId, 'UPDATE_GRAPH', { updates }, operationId, { clientVersion: seen })

export const purgeGraph = (graphId: string, operationId: string): Promise<Accepted> =>
  send('POST', `graphs/${seg(graphId)}/purge`, { operationId })

export interface Done {
  graphId: string
  operationId: string
  error?: ApiError
}

/**
 * One after the other, so that one refusal does not stop the rest. After `before`, only what failed is done again: under the same
 * operation id where the outcome is open, so that nothing is done twice (C3).
 */
export async function each(
  rows: readonly GraphRow[],
  write: (row: GraphRow, operationId: string) => Promise<unknown>,
  before: readonly Done[] = [],
): Promise<Done[]> {
  const failed = new Map(before.flatMap((one) => (one.error === undefined ? [] : [[one.graphId, one] as const])))
  const left = failed.size === 0 ? rows : rows.filter(({ graphId }) => failed.has(graphId))
  const done: Done[] = []
  for (const row of left) {
    const last = failed.get(row.graphId)
    const isOpen = last?.error !== undefined && isPassing(last.error)
    const operationId = isOpen ? last.operationId : newOperationId()
    try {
      await write(row, operationId)
      done.push({ graphId: row.graphId, operationId })
    } catch (error) {
      done.push({ graphId: row.graphId, operationId, error: asApiError(error) })
    }
  }
  return done
}

/** `+a, -b` adds `a` and removes `b`; a word without a sign is added. */
export function changeTags(row: GraphRow, change: string): string[] {
  const tags = new Set(attributesOf(row).tags)
  for (const word of change.split(',').map((part) => part.trim())) {
    if (word.startsWith('-')) tags.delete(word.slice(1).trim())
    else if (word !== '') tags.add(word.replace(/^\+/, '').trim())
  }
  return [...tags]
}
