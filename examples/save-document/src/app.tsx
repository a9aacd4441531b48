/** An editor for one person. */
import '@xyflow/react/dist/style.css'
import {
  Background,
  Controls,
  type Edge,
  type Node,
  type OnConnect,
  Panel,
  ReactFlow,
  ReactFlowProvider,
  useEdgesState,
  useNodesState,
  useReactFlow,
} from '@xyflow/react'
import { useCallback, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { useAutosave } from './autosave.ts'

function Editor() {
  const [nodes, , onNodesChange] = useNodesState<Node>([])
  const [edges, , onEdgesChange] = useEdgesState<Edge>([])
  const [notices, setNotices] = useState<string[]>([])
  const tell = useCallback((told: string[]) => setNotices((now) => [...new Set([...now, ...told])]), [])
  const { state, isLoaded } = useAutosave(tell)
  const flow = useReactFlow()

  const add = (): void => {
    const position = { x: 40 + (nodes.length % 4) * 190, y: 60 + Math.floor(nodes.length / 4) * 90 }
    flow.addNodes({ id: crypto.randomUUID(), position, data: { label: `Step ${nodes.length + 1}` } })
  }
  const rename = (_: unknown, { id, data }: Node): void => {
    const label = prompt('Name', String(data.label))
    if (label !== null) flow.updateNodeData(id, { label })
  }
  const connect: OnConnect = (ends) => flow.addEdges({ ...ends, id: crypto.randomUUID() })
  const changes = { onNodesChange, onEdgesChange, onConnect: connect }
  return (
    <div style={{ position: 'fixed', inset: 0, font: '14px system-ui' }}>
      <ReactFlow nodes={nodes} edges={edges} {...changes} onNodeDoubleClick={rename} zoomOnDoubleClick={false}>
        <Background />
        <Controls />
        <Panel position="top-left">
          <button type="button" disabled={!isLoaded} onClick={add}>
            Add a step
          </button>{' '}
          <output>{state}</output>
          {notices.map((notice) => (
            <p key={notice} role="alert">
              {notice}{' '}
              <button type="button" onClick={() => setNotices(notices.filter((other) => other !== notice))}>
                OK
              </button>
            </p>
          ))}
        </Panel>
      </ReactFlow>
    </div>
  )
}

createRoot(document.getElementById('root')!).render(
  <ReactFlowProvider>
    <Editor />
  </ReactFlowProvider>,
)
