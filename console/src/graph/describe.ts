/** A commit in a few words: "moved 3 nodes", "changed Refund: label, owner". Pure. */
import { counted } from '../shared/format.ts'
import { isObject } from '../shared/is_object.ts'
import { cut, labelOf, v } from './text.ts'
import type { AuditedOperation, WireEvent } from './wire_types.ts'

export type Content = 'content' | 'attributes' | 'labels' | 'lifecycle'

/** What kind of thing a commit wrote; `null` for an operation without events. */
export function contentOf(events: readonly WireEvent[]): Content | null {
  const first = events[0]
  if (first === undefined) return null
  switch (first.type) {
    case 'VersionLabelled':
      return 'labels'
    case 'GraphUpdated':
      return 'attributes'
    case 'GraphCreated':
      return events.length > 1 ? 'content' : 'lifecycle'
    case 'GraphTrashed':
    case 'GraphRecovered':
    case 'GraphForked':
      return 'lifecycle'
    default:
      return 'content'
  }
}

/** What an operation did, or wanted. `name` gives a name for an id, if one is known. */
export function describe(
  operation: Pick<AuditedOperation, 'events' | 'commandType' | 'restores' | 'undoes'>,
  name: (id: string) => string = (id) => id,
): string {
  const { events, restores, undoes } = operation
  const did = sentenceOf(events, name)
  if (restores !== undefined) return `restored ${v(restores)}${did === '' ? '' : `: ${did}`}`
  if (undoes !== undefined && undoes.length > 0) return `took back ${counted(undoes.length, 'operation')}: ${did}`
  return did === '' ? operation.commandType : did
}

function sentenceOf(events: readonly WireEvent[], name: (id: string) => string): string {
  const counts = new Map<string, number>()
  for (const event of events) counts.set(verbOf(event), (counts.get(verbOf(event)) ?? 0) + 1)
  const parts = [...counts].map(([verb, count]) => {
    const event = events.find((one) => verbOf(one) === verb)!
    return count === 1 ? one(event, name) : many(verb, count)
  })
  return parts.length > 3 ? `${parts.slice(0, 3).join(', ')} and more` : parts.join(', ')
}

/** Verb and kind, which events of one sort share: `moved node`. */
function verbOf(event: WireEvent): string {
  switch (event.type) {
    case 'NodeCreated':
      return 'added node'
    case 'NodeUpdated':
    case 'NodeReplaced':
      return 'changed node'
    case 'NodeMoved':
      return 'moved node'
    case 'NodeDeleted':
      return 'removed node'
    case 'NodeRestored':
      return 'brought back node'
    case 'EdgeCreated':
      return 'added edge'
    case 'EdgeUpdated':
    case 'EdgeReplaced':
      return 'changed edge'
    case 'EdgeDeleted':
      return 'removed edge'
    case 'EdgeRestored':
      return 'brought back edge'
    default:
      return event.type
  }
}

function many(verb: string, count: number): string {
  const [, did, kind] = /^(.*) (node|edge)$/.exec(verb) ?? []
  return did !== undefined && kind !== undefined ? `${did} ${counted(count, kind)}` : `${verb} ×${count}`
}

function one(event: WireEvent, name: (id: string) => string): string {
  switch (event.type) {
    case 'NodeCreated':
    case 'NodeReplaced':
    case 'NodeRestored':
      return `${verbOf(event)} ${titleOf(event.node)}`
    case 'NodeUpdated':
      return `changed ${cut(name(event.nodeId), 40)}${fieldsOf(event.patch)}`
    case 'NodeMoved':
      return `moved ${cut(name(event.nodeId), 40)}`
    case 'NodeDeleted':
      return `removed node ${cut(name(event.nodeId), 40)}`
    case 'EdgeCreated':
    case 'EdgeReplaced':
    case 'EdgeRestored':
      return `${verbOf(event)} ${endsOf(event.edge, name)}`
    case 'EdgeUpdated':
      return `changed edge ${cut(name(event.edgeId), 40)}${fieldsOf(event.patch)}`
    case 'EdgeDeleted':
      return `removed edge ${cut(name(event.edgeId), 40)}`
    case 'ViewportSet':
      return 'set the viewport'
    case 'GraphCreated':
      return event.from === undefined ? 'created the graph' : `copied ${event.from.graphId} at ${v(event.from.version)}`
    case 'GraphUpdated':
      return `changed attributes${fieldsOf(event.patch)}`
    case 'GraphTrashed':
      return event.reason === undefined ? 'put it into the trash' : `put it into the trash: ${cut(event.reason, 60)}`
    case 'GraphRecovered':
      return 'took it out of the trash'
    case 'GraphForked':
      return `copied ${event.graphId} with its history up to ${v(event.version)}`
    case 'VersionLabelled': {
      if (event.version === undefined) return `removed the label ${event.name}`
      const note = event.note === undefined ? '' : `: ${cut(event.note, 60)}`
      return `labelled ${v(event.version)} ${event.name}${note}`
    }
    default:
      return 'something that this console does not know'
  }
}

/** The names with which nodes were made or brought back, by id; those of the newest events stay. */
export function learnNames(events: readonly WireEvent[], names: Map<string, string>): void {
  for (const event of events) {
    if (event.type !== 'NodeCreated' && event.type !== 'NodeReplaced' && event.type !== 'NodeRestored') continue
    const { id } = event.node as { id: string }
    if (!names.has(id)) names.set(id, labelOf(event.node as { id: string }))
  }
}

function titleOf(entity: unknown): string {
  return isObject(entity) && typeof entity.id === 'string' ? cut(labelOf(entity as { id: string }), 40) : ''
}

function endsOf(edge: unknown, name: (id: string) => string): string {
  if (!isObject(edge) || typeof edge.source !== 'string' || typeof edge.target !== 'string') return ''
  return `${cut(name(edge.source), 30)} → ${cut(name(edge.target), 30)}`
}

/** The fields of a patch, by their last keys: `: label, owner`. */
function fieldsOf(patch: Record<string, unknown>): string {
  const keys: string[] = []
  const walk = (value: Record<string, unknown>): void => {
    for (const [key, inner] of Object.entries(value)) {
      if (isObject(inner) && Object.keys(inner).length > 0) walk(inner)
      else keys.push(key)
    }
  }
  walk(patch)
  if (keys.length === 0) return ''
  const more = keys.length > 4 ? ` and ${keys.length - 4} more` : ''
  return `: ${keys
    .slice(0, 4)
    .map((key) => cut(key, 24))
    .join(', ')}${more}`
}
