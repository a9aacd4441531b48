/** What commands are about (rules D4, H11). */

import type { JsonObject } from '../api.ts'
import type { Command, Entity } from '../model/index.ts'

/** Rule H11: the target is gone, and the batch does not create it. */
export function isLeftOut(members: readonly Command[], member: Command, code: string): boolean {
  if (!['TARGET_DELETED', 'NODE_NOT_FOUND', 'EDGE_NOT_FOUND'].includes(code) || member.type === 'BATCH_UPDATE')
    return false
  const target = targetOf(member)
  const isSame = (kind: string, id: unknown): boolean => target?.kind === kind && target.id === id
  return !members.some((other) => {
    if (other.type === 'CREATE_NODE') return isSame('node', other.payload.id)
    if (other.type === 'CREATE_EDGE') return isSame('edge', other.payload.id)
    if (other.type !== 'BATCH_UPDATE') return false
    const nodes = (other.payload.nodes ?? []) as JsonObject[]
    return (
      nodes.some(({ id }) => isSame('node', id)) || (other.payload.edges ?? []).some(({ id }) => isSame('edge', id))
    )
  })
}

/** The one existing entity that a command is about. */
export function targetOf(command: Command): Entity | null {
  switch (command.type) {
    case 'UPDATE_NODE':
    case 'UPDATE_NODE_POSITION':
    case 'DELETE_NODE':
      return { kind: 'node', id: command.payload.nodeId }
    case 'UPDATE_EDGE':
    case 'DELETE_EDGE':
      return { kind: 'edge', id: command.payload.edgeId }
    case 'SET_VIEWPORT':
      return { kind: 'viewport', id: 'viewport' }
    case 'UPDATE_GRAPH':
      return { kind: 'graph', id: 'graph' }
    default:
      return null
  }
}
