/** The nodes on the canvas. Each is memoised: it renders when something of it changed. */
import { useField, useSelectedBy } from '@dao-api/react-flow'
import { Handle, type NodeProps, NodeResizer, Position } from '@xyflow/react'
import { memo, type ReactNode } from 'react'
import { type GroupNode, iconOf, type NoteNode, type Status, type StepNode } from './model.ts'
import { countRender } from './render_counter.ts'

/** A text that is edited where it stands. Return and Escape leave it. */
function InlineText(props: { id: string; pointer: string; label: string; placeholder?: string; className?: string }) {
  const [value = '', setValue] = useField<string>(props.id, props.pointer)
  return (
    <input
      className={`inline nodrag ${props.className ?? ''}`}
      aria-label={props.label}
      placeholder={props.placeholder}
      value={value}
      spellCheck={false}
      onChange={(event) => setValue(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter' || event.key === 'Escape') event.currentTarget.blur()
        event.stopPropagation()
      }}
    />
  )
}

/** Who else has this node selected: a ring in their colour and their name. */
function Others({ id, children, className }: { id: string; className: string; children: ReactNode }) {
  const [first, ...more] = useSelectedBy(id)
  return (
    <div className={className} style={first && { outline: `2px solid ${first.color}`, outlineOffset: 2 }}>
      {first && (
        <span className="selected-by" style={{ backgroundColor: first.color }}>
          {first.name}
          {more.length > 0 && ` +${more.length}`}
        </span>
      )}
      {children}
    </div>
  )
}

const NEXT: Record<Status, Status> = { todo: 'doing', doing: 'done', done: 'todo' }
const STATUS: Record<Status, string> = { todo: 'To do', doing: 'Doing', done: 'Done' }

function StatusPill({ id }: { id: string }) {
  const [status = 'todo', setStatus] = useField<Status>(id, '/data/status')
  return (
    <button type="button" className={`pill ${status} nodrag`} onClick={() => setStatus(NEXT[status])}>
      {STATUS[status]}
    </button>
  )
}

export const Step = memo(function Step({ id, type, selected }: NodeProps<StepNode>) {
  countRender(id)
  return (
    <Others id={id} className={`step ${type} ${selected ? 'selected' : ''}`}>
      {type !== 'trigger' && <Handle type="target" position={Position.Left} />}
      <span className="chip" aria-hidden="true">
        {iconOf(type)}
      </span>
      <div className="texts">
        <InlineText id={id} pointer="/data/label" label="Name" placeholder="Name" className="name" />
        <div className="row">
          {type === 'decision' ? (
            <span className="branches">
              <span>yes</span>
              <span>no</span>
            </span>
          ) : (
            <InlineText id={id} pointer="/data/detail" label="Detail" placeholder="Add a detail" className="detail" />
          )}
          {type === 'task' && <StatusPill id={id} />}
        </div>
      </div>
      {type === 'decision' ? (
        <>
          <Handle type="source" id="yes" position={Position.Right} />
          <Handle type="source" id="no" position={Position.Bottom} />
        </>
      ) : (
        <Handle type="source" position={Position.Right} />
      )}
    </Others>
  )
})

export const Note = memo(function Note({ id, selected }: NodeProps<NoteNode>) {
  countRender(id)
  const [text = '', setText] = useField<string>(id, '/data/text')
  return (
    <Others id={id} className={`note ${selected ? 'selected' : ''}`}>
      <NodeResizer isVisible={selected} minWidth={120} minHeight={70} />
      <textarea
        className="nodrag nowheel"
        aria-label="Note"
        value={text}
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur()
          event.stopPropagation()
        }}
      />
    </Others>
  )
})

export const Group = memo(function Group({ id, selected }: NodeProps<GroupNode>) {
  countRender(id)
  return (
    <Others id={id} className={`group ${selected ? 'selected' : ''}`}>
      <NodeResizer isVisible={selected} minWidth={160} minHeight={110} />
      <InlineText id={id} pointer="/data/label" label="Group name" className="title" />
    </Others>
  )
})

export const nodeTypes = { trigger: Step, task: Step, decision: Step, note: Note, group: Group }
