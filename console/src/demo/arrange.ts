/** The example graph was drawn for a wide screen. Here it is arranged so that half of one shows it whole, as one commit. */
import type { GraphNode } from '@dao-api/client'
import { get, send } from '../shared/api.ts'
import { seg } from '../shared/links.ts'
import type { State } from '../shared/types.ts'

const PLACES: Readonly<Record<string, readonly [x: number, y: number]>> = {
  requested: [0, 64],
  receipt: [176, 64],
  warehouse: [352, 0],
  inspect: [15, 46],
  restock: [15, 158],
  declined: [367, 284],
  refund: [558, 8],
  exchange: [558, 130],
  done: [734, 69],
}
const FRAME = { width: 178, height: 242 }
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

/** Where there is room for new steps, on each one's own side first. */
const ROOM: Readonly<Record<'ada' | 'bob', readonly (readonly [x: number, y: number])[]>> = {
  ada: [
    [0, 200],
    [176, 200],
    [0, 284],
    [176, 284],
  ],
  bob: [
    [558, 250],
    [734, 250],
    [558, 334],
    [734, 334],
  ],
}
const STEP = { width: 150, height: 70 }

/** A place that no step covers; after those, rows below everything. */
export function room(nodes: readonly GraphNode[], who: 'ada' | 'bob'): { x: number; y: number } {
  const isFree = (x: number, y: number): boolean =>
    !nodes.some(
      ({ position, parentId }) =>
        parentId === undefined && Math.abs(position.x - x) < STEP.width && Math.abs(position.y - y) < STEP.height,
    )
  const known = [...ROOM[who], ...ROOM[who === 'ada' ? 'bob' : 'ada']].find(([x, y]) => isFree(x, y))
  if (known !== undefined) return { x: known[0], y: known[1] }
  let [x, y] = [who === 'ada' ? 0 : 558, 420]
  while (!isFree(x, y)) {
    x += 20
    y += 84
  }
  return { x, y }
}
