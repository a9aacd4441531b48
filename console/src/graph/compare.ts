/** The API's difference (A3) as one list: added, removed, changed, moved (K6). Pure. */
import { labelOf } from './text.ts'
import type { Authors, Difference } from './wire_types.ts'

export type Mark = 'added' | 'removed' | 'changed' | 'moved'

export interface PathChange {
  readonly path: string
  readonly before: unknown
  readonly after: unknown
}

export interface Row {
  /** Unique in the list. */
  readonly key: string
  readonly mark: Mark
  readonly entity: 'node' | 'edge' | 'viewport' | 'graph'
  readonly id: string
  readonly label: string
  /** What differs; empty for what was added or removed. */
  readonly changes: readonly PathChange[]
  /** The whole entity, of what was added or removed. */
  readonly whole: Readonly<Record<string, unknown>> | null
  readonly by: { readonly userId: string; readonly version: number } | null
}

export interface Comparison {
  readonly rows: readonly Row[]
  readonly counts: Readonly<Record<Mark, number>>
  /** By node and edge, for the canvas. */
  readonly nodes: ReadonlyMap<string, Mark>
  readonly edges: ReadonlyMap<string, Mark>
  /** Moves are hidden at first if they would drown the rest. */
  readonly hidesMoves: boolean
  /** Who wrote how many of the rows last, most first. */
  readonly people: readonly { readonly userId: string; readonly rows: number }[]
}

/** Above this share of moves, they are hidden at first. */
const MOVES_SHARE_MAX = 0.3

/** The sign of a mark: told by shape as well as by colour. */
export const SIGNS: Readonly<Record<Mark, string>> = { added: '+', removed: '−', changed: '~', moved: '↔' }

/**
 * `names` gives labels; `authors` are those of the right version (N3). They are by id alone: of an id that both a node
 * and an edge have (`isShared`), it is not known which of them was written.
 */
export function compare(
  difference: Difference,
  authors: Authors = {},
  names: Names = () => undefined,
  removers: ReadonlyMap<string, NonNullable<Row['by']>> = new Map(),
  isShared: (id: string) => boolean = () => false,
): Comparison {
  const byOf = (id: string): Row['by'] => {
    const author = isShared(id) || !Object.hasOwn(authors, id) ? undefined : authors[id]
    return author === undefined ? null : { userId: author.userId, version: author.version }
  }
  const rows: Row[] = []
  const sides = [['node', difference.nodes] as const, ['edge', difference.edges] as const]
  for (const [kind, side] of sides) {
    for (const whole of side.added) rows.push(row('added', kind, whole as Whole, byOf(whole.id), names))
    for (const whole of side.removed) {
      const by = removers.get(`${kind} ${whole.id}`) ?? null
      rows.push(row('removed', kind, whole as Whole, by, names))
    }
    for (const { id, changes } of side.changed) {
      const mark = changes.every(({ path }) => path === '/position') ? 'moved' : 'changed'
      const label = names(kind, id) ?? id
      rows.push({
        key: `${kind} ${id}`,
        mark,
        entity: kind,
        id,
        label,
        changes,
        whole: null,
        by: byOf(id),
      })
    }
  }
  const { viewport, attributes } = difference
  if (viewport !== null && viewport !== undefined) {
    const changes = [{ path: '', before: viewport.before, after: viewport.after }]
    rows.push({ ...GRAPH_ROW, key: 'viewport', entity: 'viewport', id: 'viewport', label: 'Viewport', changes })
  }
  if (attributes !== undefined && attributes.length > 0) {
    rows.push({ ...GRAPH_ROW, key: 'graph', entity: 'graph', id: 'graph', label: 'Attributes', changes: attributes })
  }
  rows.sort((a, b) => ORDER[a.mark] - ORDER[b.mark])
  const counts = { added: 0, removed: 0, changed: 0, moved: 0 }
  for (const { mark } of rows) counts[mark] += 1
  return {
    rows,
    counts,
    nodes: marksOf(rows, 'node'),
    edges: marksOf(rows, 'edge'),
    hidesMoves: counts.moved > 0 && counts.moved > rows.length * MOVES_SHARE_MAX,
    people: peopleOf(rows),
  }
}

type Names = (kind: 'node' | 'edge', id: string) => string | undefined
type Whole = Record<string, unknown> & { id: string }

const ORDER: Readonly<Record<Mark, number>> = { changed: 0, added: 1, removed: 2, moved: 3 }
const GRAPH_ROW = { mark: 'changed', whole: null, by: null } as const

function row(mark: 'added' | 'removed', entity: 'node' | 'edge', whole: Whole, by: Row['by'], names: Names): Row {
  const { id } = whole
  return {
    key: `${entity} ${id}`,
    mark,
    entity,
    id,
    label: names(entity, id) ?? labelOf(whole),
    changes: [],
    whole,
    by,
  }
}

function marksOf(rows: readonly Row[], kind: 'node' | 'edge'): Map<string, Mark> {
  return new Map(rows.filter(({ entity }) => entity === kind).map(({ id, mark }) => [id, mark]))
}

function peopleOf(rows: readonly Row[]): { userId: string; rows: number }[] {
  const counts = new Map<string, number>()
  for (const { by } of rows) if (by !== null) counts.set(by.userId, (counts.get(by.userId) ?? 0) + 1)
  return [...counts].map(([userId, rows]) => ({ userId, rows })).sort((a, b) => b.rows - a.rows)
}

/** The rows to show, and the one after or before a key; round the end. */
export function shown(comparison: Comparison, hidesMoves: boolean): readonly Row[] {
  return hidesMoves ? comparison.rows.filter(({ mark }) => mark !== 'moved') : comparison.rows
}

export function neighbour(rows: readonly Row[], key: string | null, direction: 1 | -1): Row | null {
  if (rows.length === 0) return null
  const here = rows.findIndex((one) => one.key === key)
  if (here < 0) return (direction === 1 ? rows[0] : rows[rows.length - 1]) ?? null
  return rows[(here + direction + rows.length) % rows.length] ?? null
}
