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

function PlainNodeOf({ data }: NodeProps & { data: PlainData }) {
  const { label, type, isGroup, isAcross, mark, isChosen, isGhost } = data
  const classes = ['gp-node', isGroup && 'gp-group', isChosen && 'gp-chosen', isGhost && 'gp-ghost']
  if (mark !== null) classes.push(`gp-${mark}`)
  return (
    <div className={classes.filter(Boolean).join(' ')}>
      {!isGroup && <i className={isAcross ? 'gp-dot gp-left' : 'gp-dot gp-top'} />}
      <span className="gp-node-label">{label}</span>
      <span className="gp-node-type">{type}</span>
      {mark !== null && (
        <span className="gp-badge">
          <b>{SIGNS[mark]}</b> {mark}
        </span>
      )}
      {!isGroup && <i className={isAcross ? 'gp-dot gp-right' : 'gp-dot gp-bottom'} />}
    </div>
  )
}

export const PlainNode = memo(PlainNodeOf, (a, b) => a.data === b.data)
