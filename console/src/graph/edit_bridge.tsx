// biome-ignore-all lint/a11y/useSemanticElements: a fieldset has a border and a form
/**
 * Editing (K2): the React Flow hook of the SDK, on the head only. It is a component of its own, so that a page that only
 * looks does not run it, and gives the flow to the page.
 */
import type { Client } from '@dao-api/client'
import { Cursors, type GraphFlow, UndoKeys, useGraphFlow, useUndo } from '@dao-api/react-flow'
import { useEffect, useLayoutEffect } from 'react'
import { holdClient } from '../shared/client.ts'
import { useEditReceipts } from './commands.tsx'
import { whenSettled } from './when_settled.ts'

export function EditBridge({
  client,
  id,
  onFlow,
}: {
  client: Client
  id: string
  onFlow: (flow: GraphFlow | null) => void
}) {
  const flow = useGraphFlow(client, id)
  useLayoutEffect(() => onFlow(flow), [flow, onFlow])
  useLayoutEffect(() => () => onFlow(null), [onFlow])
  // Edits that wait for their answers are not lost when the tab is hidden, also once it's locked again.
  const { graph } = flow
  useEditReceipts(graph)
  useEffect(() => {
    const release = holdClient()
    return () => whenSettled(graph, release)
  }, [graph])
  return <UndoKeys flow={flow} />
}

/** The pointers of others, and this one's, while the graph is edited. */
export function EditCursors({ flow }: { flow: GraphFlow }) {
  return <Cursors flow={flow} />
}

export function UndoButtons({ flow }: { flow: GraphFlow }) {
  const { canUndo, canRedo, undoLabel, redoLabel, undo, redo } = useUndo(flow)
  return (
    <div className="gp-undo" role="group" aria-label="Undo">
      <button
        type="button"
        disabled={!canUndo}
        title={undoLabel ?? undefined}
        onClick={() => undo()?.catch(() => undefined)}
      >
        ↶ Undo
      </button>
      <button
        type="button"
        disabled={!canRedo}
        title={redoLabel ?? undefined}
        onClick={() => redo()?.catch(() => undefined)}
      >
        ↷ Redo
      </button>
    </div>
  )
}
