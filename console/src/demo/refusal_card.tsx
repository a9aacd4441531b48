/** An edit that was refused: both values, who was first, and one click for either. */
import type { Graph, Json, Refusal } from '@dao-api/client'
import { labelOf } from '../graph/text.ts'

const shown = (value: Json | undefined): string =>
  value === undefined || value === null ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value)

const named = (userId: string | undefined): string =>
  userId === undefined ? 'Somebody else' : userId.charAt(0).toUpperCase() + userId.slice(1)

interface Props {
  refusal: Refusal
  graph: Graph
  onChoice: (choice: 'mine' | 'theirs') => void
}

export function RefusalCard({ refusal, graph, onChoice }: Props) {
  const conflict = refusal.conflicts.find(({ path }) => path !== undefined && path !== '')
  const by = named(conflict?.by)
  const node = conflict?.id === undefined ? undefined : graph.node(conflict.id)
  return (
    <div className="refusal" role="alert">
      <strong>{conflict === undefined ? refusal.summary : `Not saved: ${by} was first`}</strong>
      {conflict !== undefined && (
        <>
          <p>
            {by} changed {conflict.path?.split('/').pop()} of “{node === undefined ? conflict.id : labelOf(node)}”
            {conflict.version !== undefined && ` in version ${conflict.version}`}. You had not seen that.
          </p>
          <dl>
            <dt>Yours</dt>
            <dd>{shown(conflict.yours)}</dd>
            <dt>{by}’s</dt>
            <dd>{shown(conflict.current)}</dd>
          </dl>
        </>
      )}
      <div className="row">
        {conflict !== undefined && (
          <button type="button" className="primary" onClick={() => onChoice('mine')}>
            Use mine
          </button>
        )}
        <button type="button" onClick={() => onChoice('theirs')}>
          {conflict === undefined ? 'Close' : `Keep ${by}’s`}
        </button>
      </div>
    </div>
  )
}
