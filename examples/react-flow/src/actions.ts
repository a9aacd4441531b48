/** What the toolbar and the palette do. Each is one commit, and so one step of undo. */
import type { GraphFlow } from '@dao-api/react-flow'
import type { ReactFlowInstance } from '@xyflow/react'
import { blank, type FlowEdge, type FlowNode, type Kind } from './model.ts'

export type Flow = GraphFlow<FlowNode, FlowEdge>
export type Instance = ReactFlowInstance<FlowNode, FlowEdge>

const MARGIN = { side: 28, top: 56 }

export function addNode(instance: Instance, kind: Kind, at: { x: number; y: number }): void {
  const id = `${kind}-${Math.random().toString(36).slice(2, 10)}`
  for (const { id: other, selected } of instance.getNodes())
    if (selected) instance.updateNode(other, { selected: false })
  instance.addNodes({ ...blank(kind, at), id, selected: true } as FlowNode)
}

/** Puts a frame around the selected nodes. */
export function group(flow: Flow, instance: Instance): void {
  const chosen = flow.props.nodes.filter((node) => node.selected && !node.parentId && node.type !== 'group')
  if (chosen.length === 0) return
  const box = instance.getNodesBounds(chosen)
  const origin = { x: box.x - MARGIN.side, y: box.y - MARGIN.top }
  flow.graph.batch('Group', (on) => {
    const { id } = on.createNode({
      type: 'group',
      position: origin,
      width: box.width + 2 * MARGIN.side,
      height: box.height + MARGIN.top + MARGIN.side,
      data: { label: 'New group' },
    })
    for (const node of chosen) {
      on.updateNode(node.id, { parentId: id })
      on.moveNode(node.id, { x: node.position.x - origin.x, y: node.position.y - origin.y })
    }
  })
}

/** Takes the frames of the selected groups away and leaves what is inside. */
export function ungroup(flow: Flow): void {
  const { nodes } = flow.props
  const groups = nodes.filter((node) => node.selected && node.type === 'group')
  if (groups.length === 0) return
  flow.graph.batch('Ungroup', (on) => {
    for (const { id, position, parentId } of groups) {
      for (const child of nodes.filter((node) => node.parentId === id)) {
        on.updateNode(child.id, { parentId: parentId ?? null, extent: null })
        on.moveNode(child.id, { x: child.position.x + position.x, y: child.position.y + position.y })
      }
      on.deleteNode(id)
    }
  })
}

/** After a drag: a node that was dropped onto a group goes into it, one that was dragged out leaves it. */
export function settle(instance: Instance, dragged: readonly FlowNode[]): void {
  for (const { id } of dragged) {
    const node = instance.getInternalNode(id)
    if (node === undefined || node.type === 'group') continue
    const { x, y } = node.internals.positionAbsolute
    const middle = {
      x: x + (node.measured.width ?? 0) / 2,
      y: y + (node.measured.height ?? 0) / 2,
      width: 1,
      height: 1,
    }
    const under = instance.getIntersectingNodes(middle).findLast((other) => other.type === 'group' && other.id !== id)
    if (under?.id === node.parentId) continue
    const parent = under && instance.getInternalNode(under.id)!.internals.positionAbsolute
    const position = { x: x - (parent?.x ?? 0), y: y - (parent?.y ?? 0) }
    instance.updateNode(
      id,
      ({ parentId: _, extent: __, ...free }) => ({ ...free, position, ...(under && { parentId: under.id }) }),
      {
        replace: true,
      },
    )
  }
}
