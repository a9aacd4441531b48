/** What a restore would do, in words, before it is done (L11). Pure. */
import { counted } from '../shared/format.ts'
import { compare } from './compare.ts'
import { v } from './text.ts'
import type { Difference } from './wire_types.ts'

const VERBS = [
  ['added', 'brings back'],
  ['removed', 'removes'],
  ['changed', 'changes'],
  ['moved', 'moves'],
] as const

/**
 * A sentence about the difference from the graph of now to the version that is restored. Attributes and the viewport count
 * only where they are restored too; `settings` never are.
 */
export function restoreWords(difference: Difference, version: number, withRest: boolean): string {
  const { rows } = compare(difference)
  const did = VERBS.flatMap(([mark, verb]) => {
    const of = (entity: string): number => rows.filter((row) => row.mark === mark && row.entity === entity).length
    const kinds = [counted(of('node'), 'node'), counted(of('edge'), 'edge')].filter((text) => !text.startsWith('0 '))
    return kinds.length === 0 ? [] : [`${verb} ${kinds.join(' and ')}`]
  })
  const attributes = (difference.attributes ?? []).filter(({ path }) => !/^\/settings(\/|$)/.test(path))
  const rest = [
    ...(attributes.length > 0 ? [counted(attributes.length, 'attribute')] : []),
    ...(difference.viewport ? ['the viewport'] : []),
  ]
  if (withRest && rest.length > 0) did.push(`sets back ${rest.join(' and ')}`)
  if (did.length > 0) return `It ${did.join(', ')}.`
  const same = `The nodes and edges are already the same as ${v(version)}`
  if (rest.length === 0) return `${same}: it changes nothing.`
  return `${same}: it changes nothing. Only ${rest.join(' and ')} differ${rest.length === 1 && !/^\d+ .*s$/.test(rest[0]!) ? 's' : ''}; tick the box to restore that too.`
}
