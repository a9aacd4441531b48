/** The bar at the top: the graph's name, undo and redo, grouping, who is here, light and dark. */
import { useOthers, useUndo } from '@dao-api/react-flow'
import { useReactFlow } from '@xyflow/react'
import { type Flow, group, ungroup } from './actions.ts'
import { color, graphId, user, userId } from './client.ts'
import type { FlowEdge, FlowNode } from './model.ts'
import type { Theme } from './theme.ts'

function Avatar({ name, color: backgroundColor, title }: { name: string; color: string; title: string }) {
  return (
    <span className="avatar" style={{ backgroundColor }} title={title} role="img" aria-label={title}>
      {name[0]?.toUpperCase()}
    </span>
  )
}

function People({ flow }: { flow: Flow }) {
  const others = useOthers(flow)
  const one = [
    ...new Map(others.filter((other) => other.userId !== userId).map((other) => [other.userId, other])).values(),
  ]
  return (
    <div className="people">
      {one.map((other) => (
        <Avatar key={other.userId} name={other.name} color={other.color} title={other.name} />
      ))}
      <Avatar name={user} color={color} title={`${user} (you)`} />
    </div>
  )
}

interface ToolbarProps {
  flow: Flow
  theme: Theme
  onTheme: () => void
  history: boolean
  onHistory: () => void
}

export function Toolbar({ flow, theme, onTheme, history, onHistory }: ToolbarProps) {
  const { canUndo, canRedo, undoLabel, redoLabel, undo, redo } = useUndo(flow)
  const instance = useReactFlow<FlowNode, FlowEdge>()
  const selected = flow.props.nodes.filter((node) => node.selected)
  const canUngroup = selected.some((node) => node.type === 'group')
  const canGroup = selected.some((node) => node.type !== 'group' && !node.parentId)
  return (
    <header className="toolbar card">
      <strong>{graphId}</strong>
      <span className="divider" />
      <button
        type="button"
        disabled={!canUndo}
        title={undoLabel ? `Undo: ${undoLabel} (Ctrl+Z)` : 'Undo (Ctrl+Z)'}
        aria-label="Undo"
        onClick={() => undo()?.catch(() => {})}
      >
        ↶
      </button>
      <button
        type="button"
        disabled={!canRedo}
        title={redoLabel ? `Redo: ${redoLabel} (Ctrl+Shift+Z)` : 'Redo (Ctrl+Shift+Z)'}
        aria-label="Redo"
        onClick={() => redo()?.catch(() => {})}
      >
        ↷
      </button>
      <span className="divider" />
      <button type="button" disabled={flow.readOnly || !canGroup} onClick={() => group(flow, instance)}>
        Group
      </button>
      <button type="button" disabled={flow.readOnly || !canUngroup} onClick={() => ungroup(flow)}>
        Ungroup
      </button>
      <span className="spacer" />
      <People flow={flow} />
      <button type="button" aria-pressed={history} onClick={onHistory}>
        History
      </button>
      <button
        type="button"
        aria-label={theme === 'dark' ? 'Light colours' : 'Dark colours'}
        title="Light or dark"
        onClick={onTheme}
      >
        {theme === 'dark' ? '☀' : '☾'}
      </button>
    </header>
  )
}
