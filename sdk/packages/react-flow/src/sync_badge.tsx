/** Whether what is on the screen is safe. */
import type { Status } from '@dao-api/client'
import { Panel, type PanelPosition } from '@xyflow/react'
import type { JSX } from 'react'
import { type AnyStore, useSyncStatus } from './hooks.ts'

/** What the badge says, and how urgent it is. */
export function describe({ connection, pending, persisted, access }: Status): {
  tone: 'good' | 'busy' | 'warn' | 'bad'
  text: string
} {
  const changes = `${pending} change${pending === 1 ? '' : 's'}`
  if (connection === 'needs-auth') return { tone: 'bad', text: 'Sign in again to go on' }
  if (connection === 'closed') return { tone: 'bad', text: 'Closed' }
  if (connection === 'offline') {
    if (pending === 0) return { tone: 'warn', text: 'Offline' }
    return {
      tone: 'warn',
      text: persisted ? `Offline · ${changes} saved on this device` : `Offline · ${changes} not saved yet`,
    }
  }
  if (connection === 'connecting') return { tone: 'busy', text: 'Connecting …' }
  if (pending > 0) return { tone: 'busy', text: 'Saving …' }
  return { tone: 'good', text: access === 'read' ? 'Read only' : 'Saved' }
}

const COLORS = { good: '#16a34a', busy: '#2563eb', warn: '#d97706', bad: '#dc2626' }

/** Says whether everything is saved, in a corner of `<ReactFlow>`. The element has the class `dao-sync-badge`. */
export function SyncBadge({
  flow,
  position = 'bottom-center',
}: {
  flow: { store: AnyStore }
  position?: PanelPosition
}): JSX.Element {
  const status = useSyncStatus(flow)
  const { tone, text } = describe(status)
  return (
    <Panel position={position} className="dao-sync-badge" data-tone={tone} role="status">
      <span
        style={{
          display: 'inline-flex',
          alignItems: 'center',
          gap: 6,
          padding: '3px 10px',
          borderRadius: 999,
          background: 'var(--xy-controls-button-background-color, white)',
          color: 'var(--xy-node-color, inherit)',
          boxShadow: '0 1px 3px rgb(0 0 0 / 0.2)',
          font: '500 12px/18px system-ui, sans-serif',
        }}
      >
        <span style={{ width: 8, height: 8, borderRadius: 4, background: COLORS[tone] }} />
        {text}
      </span>
    </Panel>
  )
}
