/** What a workflow is made of. */
import type { Edge, Node } from '@xyflow/react'

export type StepKind = 'trigger' | 'task' | 'decision'
export type Status = 'todo' | 'doing' | 'done'

export type StepNode = Node<{ label: string; detail?: string; status?: Status }, StepKind>
export type NoteNode = Node<{ text: string; tint?: string }, 'note'>
export type GroupNode = Node<{ label: string }, 'group'>
export type FlowNode = StepNode | NoteNode | GroupNode
export type FlowEdge = Edge<{ label?: string }>

export type Kind = StepKind | 'note' | 'group'

export interface Template {
  kind: Kind
  name: string
  hint: string
  icon: string
}

export const TEMPLATES: readonly Template[] = [
  { kind: 'trigger', name: 'Trigger', hint: 'Where it begins', icon: '⚡' },
  { kind: 'task', name: 'Task', hint: 'Something to do', icon: '✓' },
  { kind: 'decision', name: 'Decision', hint: 'Yes or no', icon: '◆' },
  { kind: 'note', name: 'Note', hint: 'A remark', icon: '✎' },
  { kind: 'group', name: 'Group', hint: 'A frame around steps', icon: '▢' },
]

export const iconOf = (kind: Kind): string => TEMPLATES.find((template) => template.kind === kind)!.icon

export function blank(kind: Kind, position: { x: number; y: number }): Omit<FlowNode, 'id'> {
  switch (kind) {
    case 'note':
      return { type: kind, position, width: 180, height: 110, data: { text: 'New note' } }
    case 'group':
      return { type: kind, position, width: 420, height: 240, data: { label: 'New group' } }
    case 'trigger':
      return { type: kind, position, data: { label: 'New trigger' } }
    case 'decision':
      return { type: kind, position, data: { label: 'New decision' } }
    case 'task':
      return { type: kind, position, data: { label: 'New task', status: 'todo' } }
  }
}

/** What people call a node. */
export function nameOf(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  const text = 'label' in data ? data.label : 'text' in data ? data.text : undefined
  return typeof text === 'string' && text !== '' ? text.split('\n')[0]! : undefined
}
