/** What the dialogs that write to a graph share: one write that is told of at the end, and fields. */
import type { ReactNode } from 'react'
import { notify } from './notices.tsx'
import { ProblemView } from './problem.tsx'
import type { Accepted, GraphRow } from './types.ts'
import { useWrite } from './use_write.ts'

export interface GraphDialogProps {
  row: GraphRow
  onClose: () => void
  /** Something was written to this graph: what is shown is to be read again. */
  onDone: (graphId: string) => void
}

/** `fields` are all that is written: an attempt with others is another operation. */
export function useAct(
  graphId: string,
  { onClose, onDone }: Pick<GraphDialogProps, 'onClose' | 'onDone'>,
  fields: readonly unknown[] = [],
) {
  const write = useWrite()
  const act = (told: string, what: (operationId: string) => Promise<Accepted>, known = true) =>
    write.run(
      async (operationId) => {
        const { outcome } = await what(operationId)
        const text = outcome === 'unchanged' ? 'Nothing had to change.' : told
        notify(known ? { text, operationId, graphId } : { text })
        onClose()
        onDone(graphId)
      },
      JSON.stringify([graphId, ...fields]),
    )
  return { act, problem: write.error === undefined ? null : <ProblemView error={write.error} /> }
}

export function Field({ label, hint, children }: { label: string; hint?: ReactNode; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is a child
    <label className="field">
      <span>{label}</span>
      {children}
      {hint !== undefined && <small>{hint}</small>}
    </label>
  )
}
