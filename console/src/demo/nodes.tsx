/** Steps and frames. A double click, Enter or F2 renames one. Each is memoised: it renders when something of it changed. */
import { useField, useSelectedBy } from '@dao-api/react-flow'
import { Handle, type Node, type NodeProps, Position } from '@xyflow/react'
import { createContext, memo, type ReactNode, useContext, useEffect, useRef } from 'react'

export type Step = Node<{ label?: string }>

interface Renaming {
  /** The node that is being renamed here. */
  readonly id: string | null
  rename(id: string | null): void
}

export const RenamingContext = createContext<Renaming>({ id: null, rename: () => {} })

function Label({ id, what }: { id: string; what: string }) {
  const [label = '', setLabel] = useField<string>(id, '/data/label')
  const { id: renamed, rename } = useContext(RenamingContext)
  const field = useRef<HTMLTextAreaElement>(null)
  const isRenamed = renamed === id
  useEffect(() => {
    if (!isRenamed) return
    field.current?.focus()
    field.current?.select()
  }, [isRenamed])
  if (!isRenamed) return <span className="step-label">{label === '' ? 'No name' : label}</span>
  return (
    <textarea
      ref={field}
      className="step-label nodrag nopan nowheel"
      aria-label={`Name of the ${what}`}
      rows={2}
      maxLength={80}
      value={label}
      spellCheck={false}
      onChange={(event) => setLabel(event.target.value.replaceAll('\n', ' '))}
      onBlur={() => rename(null)}
      onKeyDown={(event) => {
        event.stopPropagation()
        if (event.key !== 'Enter' && event.key !== 'Escape') return
        event.preventDefault()
        const node = event.currentTarget.closest<HTMLElement>('.react-flow__node')
        rename(null)
        node?.focus()
      }}
    />
  )
}

/** A ring and a name for whoever else has this node selected. */
function SelectedBy({ id, className, children }: { id: string; className: string; children: ReactNode }) {
  const [other] = useSelectedBy(id)
  return (
    <div className={className} style={other && { outline: `3px solid ${other.color}`, outlineOffset: 2 }}>
      {other && (
        <span className="step-by" style={{ background: other.color }}>
          {other.name}
        </span>
      )}
      {children}
    </div>
  )
}

const StepNode = memo(function StepNode({ id, type, selected }: NodeProps<Step>) {
  return (
    <SelectedBy id={id} className={`step step-${type} ${selected ? 'step-selected' : ''}`}>
      {type !== 'input' && <Handle type="target" position={Position.Left} />}
      <Label id={id} what="step" />
      {type !== 'output' && <Handle type="source" id="right" position={Position.Right} />}
    </SelectedBy>
  )
})

const FrameNode = memo(function FrameNode({ id, selected }: NodeProps<Step>) {
  return (
    <SelectedBy id={id} className={`frame ${selected ? 'step-selected' : ''}`}>
      <Label id={id} what="group" />
    </SelectedBy>
  )
})

export const nodeTypes = { input: StepNode, output: StepNode, default: StepNode, task: StepNode, group: FrameNode }
