/** One person's editor. The multi-user part is `useGraphFlow` and `<Cursors>`. */
import type { Refusal, Status as SyncStatus } from '@dao-api/client'
import { Cursors, useGraphFlow, useRefusals, useSyncStatus, useUndo } from '@dao-api/react-flow'
import { Background, BackgroundVariant, type Edge, ReactFlow, ReactFlowProvider, useReactFlow } from '@xyflow/react'
import { type KeyboardEvent, useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { useDark } from '../shared/theme.ts'
import { Status, type Tone } from '../shared/ui.tsx'
import { room } from './arrange.ts'
import { nodeTypes, RenamingContext, type Step } from './nodes.tsx'
import type { Person } from './people.ts'
import { RefusalCard } from './refusal_card.tsx'
import { edits } from './story.ts'

const FIT = { padding: 0.06, maxZoom: 1 } as const
const DELETE_KEYS = ['Delete', 'Backspace']

interface Props {
  person: Person
  graphId: string
  onChoice: (person: Person, refusal: Refusal, choice: 'mine' | 'theirs') => void
}

export function Editor(props: Props) {
  return (
    <ReactFlowProvider>
      <Inside {...props} />
    </ReactFlowProvider>
  )
}

function Inside({ person, graphId, onChoice }: Props) {
  const { name, color } = person
  const flow = useGraphFlow<Step, Edge>(person.client, graphId, { me: { name, color } })
  const instance = useReactFlow<Step, Edge>()
  const undo = useUndo(flow)
  const isDark = useDark()
  const [renamed, rename] = useState<string | null>(null)
  const renaming = useMemo(() => ({ id: renamed, rename }), [renamed])
  const [refusals, setRefusals] = useState<readonly Refusal[]>([])
  useRefusals(flow, (refusal) => {
    if (refusal.cause === undefined) setRefusals((now) => [...now, refusal])
  })
  const refusal = refusals[0]
  const quietly = (done: Promise<unknown> | null): void => void done?.catch(() => {})
  const add = (): void => {
    const position = room(flow.graph.getSnapshot().nodes, person.id)
    flow.graph.createNode({ type: 'task', position, data: { label: 'New step' } }, { label: 'Add a step' })
  }
  const press = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement
    if (/^(INPUT|TEXTAREA)$/.test(target.tagName)) return
    const key = event.key.toLowerCase()
    const mod = event.ctrlKey || event.metaKey
    const id = target.closest<HTMLElement>('.react-flow__node')?.dataset.id
    if (mod && (key === 'z' || key === 'y')) quietly(key === 'y' || event.shiftKey ? undo.redo() : undo.undo())
    else if (!mod && (key === 'enter' || key === 'f2') && id !== undefined) rename(id)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <section className={`editor editor-${person.id} card`} aria-label={`${name}'s editor`} onKeyDownCapture={press}>
      <header className="editor-head">
        <span className="editor-face" aria-hidden="true" style={{ background: color }}>
          {name[0]}
        </span>
        <h2>{name}</h2>
        <Sync person={person} flow={flow} />
        <span className="spread" />
        <button type="button" className="small" disabled={!flow.ready} onClick={add}>
          + Add a step
        </button>
        <button
          type="button"
          className="icon small"
          disabled={!undo.canUndo}
          aria-label={`Undo as ${name}`}
          title="Undo (Ctrl+Z in this editor)"
          onClick={() => quietly(undo.undo())}
        >
          ↶
        </button>
        <button
          type="button"
          className="icon small"
          disabled={!undo.canRedo}
          aria-label={`Redo as ${name}`}
          title="Redo (Ctrl+Shift+Z in this editor)"
          onClick={() => quietly(undo.redo())}
        >
          ↷
        </button>
        <button
          type="button"
          className="icon small"
          aria-label={`Show all as ${name}`}
          title="Show the whole graph"
          onClick={() => void instance.fitView(FIT)}
        >
          ⤢
        </button>
      </header>
      <div className="editor-canvas">
        <RenamingContext value={renaming}>
          <ReactFlow
            {...flow.props}
            id={person.id}
            nodeTypes={nodeTypes}
            colorMode={isDark ? 'dark' : 'light'}
            fitView
            fitViewOptions={FIT}
            minZoom={0.2}
            maxZoom={2}
            deleteKeyCode={flow.readOnly ? null : DELETE_KEYS}
            zoomOnDoubleClick={false}
            zoomOnScroll={false}
            preventScrolling={false}
            onNodeDoubleClick={(_, { id }) => rename(id)}
            aria-label={`The graph as ${name} sees it`}
          >
            <Background id={person.id} variant={BackgroundVariant.Dots} gap={22} size={1.4} />
            <Cursors flow={flow} />
            <FitWhenReady isReady={flow.ready} />
          </ReactFlow>
        </RenamingContext>
        {refusal !== undefined && (
          <RefusalCard
            key={refusal.operationId}
            refusal={refusal}
            graph={flow.graph}
            onChoice={(choice) => {
              setRefusals((now) => now.filter((other) => other !== refusal))
              onChoice(person, refusal, choice)
            }}
          />
        )}
      </div>
    </section>
  )
}

/** The graph comes after the canvas. */
function FitWhenReady({ isReady }: { isReady: boolean }) {
  const { fitView } = useReactFlow()
  useEffect(() => {
    if (!isReady) return
    const timer = setTimeout(() => void fitView(FIT), 60)
    return () => clearTimeout(timer)
  }, [isReady, fitView])
  return null
}

function Sync({ person, flow }: { person: Person; flow: Parameters<typeof useSyncStatus>[0] }) {
  const status = useSyncStatus(flow)
  const isCut = useSyncExternalStore(person.cable.subscribe, person.cable.isCut)
  const { tone, text } = told(status, isCut)
  return (
    <span className="editor-sync" role="status" data-tone={tone}>
      <Status tone={tone}>{text}</Status>
    </span>
  )
}

function told({ connection, pending, point }: SyncStatus, isCut: boolean): { tone: Tone; text: string } {
  if (connection === 'live')
    return pending === 0 ? { tone: 'ok', text: `Saved · v${point.version}` } : { tone: 'info', text: 'Saving…' }
  const why = isCut ? 'Connection broken' : connection === 'offline' ? 'No server' : 'Connecting…'
  return { tone: 'warn', text: pending === 0 ? why : `${why} · ${edits(pending)} waiting` }
}
