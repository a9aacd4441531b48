/** Lifecycle commands (L) of any page, each under the operation id that it is given. */
import { send } from './api.ts'
import { seg } from './links.ts'
import type { Accepted } from './types.ts'

export function command(
  graphId: string,
  type: string,
  payload: object,
  operationId: string,
  more: object = {},
): Promise<Accepted> {
  return send('POST', `graphs/${seg(graphId)}/command`, { type, payload, operationId, ...more })
}

export function copyGraph(
  source: string,
  target: string,
  { at, history }: { at: string; history: boolean },
  operationId: string,
): Promise<Accepted> {
  const from = { graphId: source, history, ...(at === '' ? {} : { at: atOf(at) }) }
  return command(target, 'CREATE_GRAPH', { from }, operationId)
}

/** `v12` and `12` are the version 12; anything else is a label or a time. */
function atOf(text: string): string | number {
  const version = /^v?(\d+)$/.exec(text.trim())
  return version === null ? text.trim() : Number(version[1])
}

export const labelGraph = (
  graphId: string,
  name: string,
  version: number,
  note: string,
  operationId: string,
): Promise<Accepted> =>
  command(graphId, 'LABEL_VERSION', { name, version, ...(note === '' ? {} : { note }) }, operationId)

export const trashGraph = (graphId: string, reason: string, operationId: string): Promise<Accepted> =>
  send('DELETE', `graphs/${seg(graphId)}`, undefined, {
    query: { reason },
    headers: { 'Idempotency-Key': operationId },
  })

export const recoverGraph = (graphId: string, operationId: string): Promise<Accepted> =>
  command(graphId, 'RECOVER_GRAPH', {}, operationId)
