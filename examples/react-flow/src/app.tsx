/** A workflow editor for several people. The multi-user part is `useGraphFlow` and the five elements inside `<ReactFlow>`. */
import { ClipboardKeys, Cursors, SyncBadge, UndoKeys, useGraphFlow } from '@dao-api/react-flow'
import { Background, BackgroundVariant, Controls, MiniMap, ReactFlow, useReactFlow } from '@xyflow/react'
import { type DragEvent, useState } from 'react'
import { addNode, settle } from './actions.ts'
import { client, color, graphId, user } from './client.ts'
import { HistoryPanel } from './history_panel.tsx'
import type { FlowEdge, FlowNode, Kind } from './model.ts'
import { nodeTypes } from './nodes.tsx'
import { DRAGGED, Palette } from './palette.tsx'
import { Refusals } from './refusals.tsx'
import { insertSample } from './sample.ts'
import { useTheme } from './theme.ts'
import { Toolbar } from './toolbar.tsx'

const me = { name: user, color }
const left = matchMedia('(max-width: 1000px)').matches ? '90px' : '170px'
/** Leaves room for what lies over the canvas. */
const FIT = { maxZoom: 1, padding: { top: '90px', left, right: '40px', bottom: '70px' } } as const
const DELETE_KEYS = ['Delete', 'Backspace']
const edgeOptions = { type: 'smoothstep' }

export function App() {
  const flow = useGraphFlow<FlowNode, FlowEdge>(client, graphId, { me })
  const instance = useReactFlow<FlowNode, FlowEdge>()
  const [theme, toggleTheme] = useTheme()
  const [history, setHistory] = useState(false)
  const drop = (event: DragEvent): void => {
    const kind = event.dataTransfer.getData(DRAGGED) as Kind | ''
    if (kind === '') return
    event.preventDefault()
    addNode(instance, kind, instance.screenToFlowPosition({ x: event.clientX - 90, y: event.clientY - 28 }))
  }
  return (
    <main>
      <ReactFlow
        {...flow.props}
        nodeTypes={nodeTypes}
        defaultEdgeOptions={edgeOptions}
        colorMode={theme}
        fitView
        fitViewOptions={FIT}
        minZoom={0.1}
        deleteKeyCode={flow.readOnly ? null : DELETE_KEYS}
        onlyRenderVisibleElements={flow.props.nodes.length > 500}
        onNodeDragStop={(_, __, dragged) => settle(instance, dragged)}
        onDragOver={(event) => event.preventDefault()}
        onDrop={drop}
        proOptions={{ hideAttribution: false }}
      >
        <Background variant={BackgroundVariant.Dots} gap={22} size={1.4} />
        <Controls position="bottom-left" showInteractive={false} />
        <MiniMap position="bottom-right" pannable zoomable />
        <Cursors flow={flow} />
        <SyncBadge flow={flow} />
        <UndoKeys flow={flow} />
        <ClipboardKeys flow={flow} />
      </ReactFlow>
      <Toolbar
        flow={flow}
        theme={theme}
        onTheme={toggleTheme}
        history={history}
        onHistory={() => setHistory(!history)}
      />
      <Palette disabled={flow.readOnly} />
      {history && <HistoryPanel flow={flow} />}
      <Refusals flow={flow} />
      {flow.ready && flow.props.nodes.length === 0 && !flow.readOnly && (
        <div className="empty card">
          <h2>An empty workflow</h2>
          <p>
            Drag a step from the left, or begin with an example. Open this page again in another window to edit
            together.
          </p>
          <button
            type="button"
            className="primary"
            onClick={() => {
              insertSample(flow.graph)
              requestAnimationFrame(() => void instance.fitView(FIT))
            }}
          >
            Insert the example
          </button>
        </div>
      )}
    </main>
  )
}
