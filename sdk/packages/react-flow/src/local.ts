/**
 * What is shared and what stays on this screen. React Flow keeps both in one object; the server keeps what everybody
 * sees. Nothing in here writes.
 */
import { equal, type Fields, isPlain, type Leaf, type Path } from './leaves.ts'

/** What React Flow notes for one screen. */
const SCREEN = new Set(['selected', 'dragging', 'resizing', 'measured', 'internals', 'positionAbsolute'])
/** What the server notes beside an entity. It ignores them in commands. */
const SERVER = new Set(['createdAt', 'updatedAt', 'version'])

/** Paths by type that are never sent, for example `{ task: ['data.hover'], '*': ['data.error'] }`. */
export type LocalPaths = { readonly [type: string]: readonly string[] }

export class LocalRules {
  readonly #paths: LocalPaths
  readonly #warn: (message: string) => void
  readonly #warned = new Set<string>()

  constructor(paths: LocalPaths = {}, warn: (message: string) => void = () => {}) {
    this.#paths = paths
    this.#warn = warn
  }

  has(type: unknown, path: Path): boolean {
    const dotted = path.join('.')
    const listed = (key: string): boolean => Object.hasOwn(this.#paths, key) && this.#paths[key]!.includes(dotted)
    return listed('*') || (typeof type === 'string' && listed(type))
  }

  /** Functions and other values that JSON can't hold stay on this screen, with one warning for each path. */
  notJson(path: Path): void {
    const dotted = path.join('.')
    if (this.#warned.has(dotted)) return
    this.#warned.add(dotted)
    this.#warn(
      `"${dotted}" is not JSON, so it stays on this screen. List it in \`local\` to say that this is meant, ` +
        'or keep functions in the node component.',
    )
  }
}

export interface Difference {
  /** For everybody. */
  shared: Leaf[]
  /** For this screen. */
  local: Leaf[]
  /** `selected`, if it differs. */
  selected?: boolean
}

/** What a replaced or added object differs in from `before`, sorted into shared and local. */
export function difference(before: Fields, after: Fields, rules: LocalRules): Difference {
  const found: Difference = { shared: [], local: [] }
  const type = after.type
  for (const key of keysOf(before, after)) {
    if (key === 'selected' && Boolean(after.selected) !== Boolean(before.selected))
      found.selected = Boolean(after.selected)
    if (key === 'id' || SCREEN.has(key) || SERVER.has(key)) continue
    compare(before[key], after[key], [key])
  }
  return found

  function compare(a: unknown, b: unknown, path: Path): void {
    if (a === b) return
    if (rules.has(type, path)) {
      found.local.push({ path, value: b })
    } else if (isPlain(a) && isPlain(b) && path[0] !== 'position') {
      for (const key of keysOf(a, b)) {
        compare(Object.hasOwn(a, key) ? a[key] : undefined, Object.hasOwn(b, key) ? b[key] : undefined, [...path, key])
      }
    } else if (b === undefined) {
      ;(isJson(a) ? found.shared : found.local).push({ path, value: undefined })
    } else if (!equal(a, b)) {
      const value = sorted(b, path)
      if (value !== undefined) found.shared.push({ path, value })
    }
  }

  /** The part of `value` that is shared; the rest goes to `found.local`. */
  function sorted(value: unknown, path: Path): unknown {
    if (rules.has(type, path)) {
      found.local.push({ path, value })
      return undefined
    }
    if (isPlain(value)) {
      let copy: Record<string, unknown> | null = null
      for (const [key, inner] of Object.entries(value)) {
        const kept = sorted(inner, [...path, key])
        if (kept === inner && kept !== undefined) continue
        copy ??= { ...value }
        if (kept === undefined) delete copy[key]
        else copy[key] = kept
      }
      return copy ?? value
    }
    if (value === undefined || isJson(value)) return value
    rules.notJson(path)
    found.local.push({ path, value })
    return undefined
  }
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (Array.isArray(value)) return value.every(isJson)
  return isPlain(value) && Object.values(value).every((inner) => inner === undefined || isJson(inner))
}

function keysOf(a: Fields, b: Fields): Set<string> {
  return new Set([...Object.keys(a), ...Object.keys(b)])
}
