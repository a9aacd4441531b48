/** A node as anybody can read it: its name and type, and with a shape and a word what a comparison says of it. */
import type { NodeProps } from '@xyflow/react'
import { memo } from 'react'
import { type Mark, SIGNS } from '../compare.ts'

export interface PlainData extends Record<string, unknown> {
  label: string
  type: string
  isGroup: boolean
  isAcross: boolean
  mark: Mark | null
  isChosen: boolean
  isGhost: boolean
}

/** React Flow finds the ends of edges by the classes `source` and `target`; its own handles would cost two subscriptions each. */
function PlainNodeOf({ data }: NodeProps & { data: PlainData }) {
  const { label, type, isGroup, isAcross, mark, isChosen, isGhost } = data
  const [into, out] = isAcross ? ['left', 'right'] : ['top', 'bottom']
  const classes = ['gp-node', isGroup && 'gp-group', isChosen && 'gp-chosen', isGhost && 'gp-ghost']
  if (mark !== null) classes.push(`gp-${mark}`)
  return (
    <div className={classes.filter(Boolean).join(' ')}>
      <i className={`target gp-dot gp-${into}`} data-handlepos={into} />
      <span className="gp-node-label">{label}</span>
      <span className="gp-node-type">{type}</span>
      {mark !== null && (
        <span className="gp-badge">
          <b>{SIGNS[mark]}</b> {mark}
        </span>
      )}
      <i className={`source gp-dot gp-${out}`} data-handlepos={out} />
    </div>
  )
}

export const PlainNode = memo(PlainNodeOf, (a, b) => a.data === b.data)
