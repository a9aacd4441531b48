/** Two of one id: how fast they may follow each other. */

import { type Command, entityOf, type GraphState } from '../../src/model/index.ts'
import type { Commit } from '../../src/testing/commit.ts'
import type { Frame } from '../../src/testing/server.ts'

/**
 * Whether the frame makes a node or edge in the place of another one of its id that was made in this very millisecond.
 * What still stands, and is not deleted by the frame itself, is changed by it or keeps the id.
 */
export function makesAgain(frame: Frame, commits: readonly Commit[], state: GraphState, now: number): boolean {
  const commands = (frame.type === 'BATCH' ? frame.operations : [frame.command]) as (Command | undefined)[]
  const deletes = commands.some((command) => command?.type === 'DELETE_NODE' || command?.type === 'DELETE_EDGE')
  const wasMade = (kind: 'node' | 'edge', id: string): boolean =>
    commits.some(
      ({ timestamp, events }) =>
        timestamp === now &&
        events.some((event) => {
          const entity = event.type.endsWith('Created') ? entityOf(event) : null
          return entity?.kind === kind && entity.id === id
        }),
    )
  const isAgain = (kind: 'node' | 'edge', id: string): boolean => {
    const stands = kind === 'node' ? state.nodes.has(id) : state.edges.has(id)
    return (!stands || deletes) && wasMade(kind, id)
  }
  return commands.some((command) => {
    switch (command?.type) {
      case 'CREATE_NODE':
        return isAgain('node', command.payload.id)
      case 'CREATE_EDGE':
        return isAgain('edge', command.payload.id)
      case 'BATCH_UPDATE':
        return (command.payload.nodes as { id: string }[]).some(({ id }) => isAgain('node', id))
      default:
        return false
    }
  })
}
