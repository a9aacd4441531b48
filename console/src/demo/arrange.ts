/** The example graph was drawn for a wide screen. Here it is arranged so that half of one shows it whole, as one commit. */
import { get, send } from '../shared/api.ts'
import { seg } from '../shared/links.ts'
import type { State } from '../shared/types.ts'

const PLACES: Readonly<Record<string, readonly [x: number, y: number]>> = {
  requested: [0, 96],
  receipt: [176, 96],
  declined: [176, 256],
  warehouse: [352, 32],
  inspect: [16, 52],
  restock: [16, 182],
  refund: [572, 32],
  exchange: [572, 186],
  done: [748, 110],
}
const FRAME = { width: 180, height: 284 }
/** Where the seed puts its last step: somebody who moved it does not want it arranged. */
const UNTOUCHED = { id: 'done', x: 1120, y: 120 }

/** Does nothing to a graph that is not as the seed left it. */
export async function arrange(graphId: string, signal: AbortSignal): Promise<void> {
  const path = `graphs/${seg(graphId)}`
  const { nodes } = await get<State>(`${path}/state`, { signal })
  const at = (id: string) => nodes.find((node) => node.id === id)?.position
  if (at(UNTOUCHED.id)?.x !== UNTOUCHED.x || at(UNTOUCHED.id)?.y !== UNTOUCHED.y) return
  const moves = nodes.flatMap(({ id }) => {
    const [x, y] = PLACES[id] ?? []
    if (x === undefined || y === undefined) return []
    return [{ type: 'UPDATE_NODE_POSITION', payload: { nodeId: id, position: { x, y } } }]
  })
  const frame = { type: 'UPDATE_NODE', payload: { nodeId: 'warehouse', updates: { style: FRAME } } }
  const operations = at('warehouse') === undefined ? moves : [...moves, frame]
  await send('POST', `${path}/batch`, { atomic: true, ifMissing: 'skip', operations }, { signal })
}
