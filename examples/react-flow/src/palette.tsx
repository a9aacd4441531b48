/** What can be put on the canvas: dragged there, or by click or key into its middle. */
import { useReactFlow } from '@xyflow/react'
import { addNode } from './actions.ts'
import { type FlowEdge, type FlowNode, type Kind, TEMPLATES } from './model.ts'

export const DRAGGED = 'application/x-workflow-node'

export function Palette({ disabled }: { disabled: boolean }) {
  const instance = useReactFlow<FlowNode, FlowEdge>()
  const addToMiddle = (kind: Kind): void => {
    const { left, top, width, height } = document.querySelector('.react-flow')!.getBoundingClientRect()
    const jitter = (): number => (Math.random() - 0.5) * 120
    const middle = { x: left + width / 2 - 100 + jitter(), y: top + height / 2 - 30 + jitter() }
    addNode(instance, kind, instance.screenToFlowPosition(middle))
  }
  return (
    <nav className="palette card" aria-label="Add a node">
      {TEMPLATES.map(({ kind, name, hint, icon }) => (
        <button
          key={kind}
          type="button"
          className={kind}
          aria-label={name}
          title={`${name}: ${hint}. Click, or drag it onto the canvas.`}
          disabled={disabled}
          draggable={!disabled}
          onDragStart={(event) => {
            event.dataTransfer.setData(DRAGGED, kind)
            event.dataTransfer.effectAllowed = 'move'
          }}
          onClick={() => addToMiddle(kind)}
        >
          <span className="chip" aria-hidden="true">
            {icon}
          </span>
          <span className="label">{name}</span>
        </button>
      ))}
    </nav>
  )
}
