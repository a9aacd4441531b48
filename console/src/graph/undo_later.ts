/** What was restored on a page that does not follow the graph, such as *Compare*: a step of undo once its page is opened. */
import type { Graph } from '@dao-api/client'
import type { Done } from './commands.tsx'

const kept = new Map<string, { done: Done; label: string }[]>()

export function undoLater(id: string, done: Done, label: string): void {
  kept.set(id, [...(kept.get(id) ?? []), { done, label }])
}

export function takeUndo(graph: Graph): void {
  for (const { done, label } of kept.get(graph.id) ?? []) graph.addUndoStep(done, label)
  kept.delete(graph.id)
}
