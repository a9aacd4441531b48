/** The tab that is open. */
import type { Graph, GraphSnapshot } from '@dao-api/client'
import type { GraphFlow } from '@dao-api/react-flow'
import { useCallback, useMemo } from 'react'
import { Empty, Loading } from '../shared/ui.tsx'
import { Activity } from './panel/activity.tsx'
import { Conflicts } from './panel/conflicts.tsx'
import { History } from './panel/history.tsx'
import { InspectEntity } from './panel/inspect.tsx'
import { InspectGraph } from './panel/inspect_graph.tsx'
import { Proof } from './panel/proof.tsx'
import type { Placed } from './place.ts'
import { namesOf } from './text.ts'
import type { View } from './use_view.ts'
import type { Commit, GraphRow } from './wire_types.ts'

interface GraphTabProps {
  id: string
  row: GraphRow
  placed: Placed
  view: View | null
  /** The view can't be had. */
  failed: boolean
  /** Of the view. */
  version: number
  head: number
  /** How often the history was replaced by another one. */
  replacements: number
  graph: Graph | null
  /** The graph as it is now: it has names of what the view has not. */
  now: GraphSnapshot
  commit: Commit | null
  flow: GraphFlow | null
  onRestore: (version: number) => void
  onLabel: (version: number) => void
  whyNot: string | null
}

export function GraphTab(props: GraphTabProps) {
  const { id, row, placed, view, version, head, replacements, graph, now, commit, onRestore, onLabel, whyNot } = props
  const name = useNames(view, now)
  switch (placed.place.tab) {
    case 'inspect':
      return <Inspect {...props} name={name} />
    case 'history':
      return (
        <History
          id={id}
          placed={placed}
          version={version}
          head={head}
          replacements={replacements}
          here={view?.kind === 'past' ? commit : null}
          name={name}
          graph={graph}
          onRestore={onRestore}
          onLabel={onLabel}
          whyNot={whyNot}
        />
      )
    case 'conflicts':
      return <Conflicts id={id} placed={placed} head={head} />
    case 'activity':
      return <Activity id={id} head={head} />
    case 'proof':
      return <Proof id={id} row={row} />
  }
}

function Inspect({
  id,
  row,
  placed,
  view,
  failed,
  version,
  head,
  graph,
  commit,
  flow,
  name,
}: GraphTabProps & { name: (id: string) => string }) {
  const { chosen } = placed.place
  const meta = useCallback(
    (entity: string) => {
      if (view?.kind !== 'past') return graph?.meta(entity)
      const { state } = view.moment!
      return (chosen?.kind === 'edge' ? state.edges : state.nodes).get(entity)
    },
    [view, graph, chosen?.kind],
  )
  const edit = useMemo(() => {
    if (flow === null || flow.readOnly) return undefined
    return {
      value: (id: string) => flow.store.node(id) ?? flow.store.edge(id),
      set: (id: string, pointer: string, value: string) => flow.setField(id, pointer, value),
    }
  }, [flow])
  if (view === null) return failed ? <Empty title="Nothing is shown" /> : <Loading what="the graph" />
  if (chosen === null) {
    const { nodes, edges, attributes } = view.snapshot
    const counts = { nodes: nodes.length, edges: edges.length }
    if (version === 0) return <Empty title="This is before the first commit">There was no graph yet.</Empty>
    return (
      <InspectGraph
        row={row}
        placed={placed}
        commit={commit}
        version={version}
        counts={counts}
        attributes={attributes}
        name={name}
      />
    )
  }
  return (
    <InspectEntity
      id={id}
      placed={placed}
      snapshot={view.snapshot}
      version={view.version}
      head={head}
      meta={meta}
      edit={edit}
    />
  )
}

/** Names for sentences: those of what is shown, and else those of now. An edge without one is called by its ends. */
function useNames(view: View | null, now: GraphSnapshot): (id: string) => string {
  const shown = view?.snapshot
  const names = useMemo(() => namesOf([now, ...(shown === undefined ? [] : [shown])]), [now, shown])
  return useCallback((id) => names.get(id) ?? id, [names])
}
