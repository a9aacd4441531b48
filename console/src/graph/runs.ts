/** Runs of like commits by one client, which a history shows as one row: "14 autosaves, ada". Pure. */
import type { AuditedOperation } from './wire_types.ts'

interface Run {
  /** Indexes into the list, from the newest to the oldest. */
  readonly from: number
  readonly to: number
  readonly userId: string
  readonly what: string
}

export type Line = { readonly kind: 'row'; readonly index: number } | { readonly kind: 'run'; readonly run: Run }

/** What is collapsed only pays from this length on. */
const RUN_MIN = 4
/** A longer run is several, so that what is shown needs few rows, and one open run stays small. */
export const RUN_MAX = 50
/** A longer pause ends a run. Milliseconds. */
const PAUSE_MS = 120_000

const WHAT: Readonly<Record<string, string>> = {
  SAVE_DOCUMENT: 'autosaves',
  UPDATE_NODE_POSITION: 'moves',
  UPDATE_NODE: 'edits of nodes',
  UPDATE_EDGE: 'edits of edges',
  BATCH_UPDATE: 'saves',
  BATCH: 'batches',
  SET_VIEWPORT: 'viewports',
  CREATE_NODE: 'new nodes',
  CREATE_EDGE: 'new edges',
}

/** What runs are made of: it has to be known of rows that are not held, too. */
export type Op = Pick<AuditedOperation, 'userId' | 'clientId' | 'commandType' | 'status' | 'timestamp'> & {
  readonly restores?: AuditedOperation['restores'] | undefined
  readonly undoes?: AuditedOperation['undoes'] | undefined
}

export function opOf({ userId, clientId, commandType, status, timestamp, restores, undoes }: AuditedOperation): Op {
  return { userId, clientId, commandType, status, timestamp, restores, undoes }
}

/**
 * The lines for a list whose rows may be missing. `expanded` holds the first index of runs that are open. A run is never
 * longer than {@link RUN_MAX}.
 */
export function linesOf(
  count: number,
  row: (index: number) => Op | undefined,
  expanded: ReadonlySet<number>,
  collapse = true,
): Line[] {
  const lines: Line[] = []
  for (let i = 0; i < count; ) {
    const end = collapse ? runFrom(i, count, row) : i
    if (end - i + 1 < RUN_MIN) {
      lines.push({ kind: 'row', index: i })
      i += 1
      continue
    }
    const first = row(i)!
    const what = WHAT[first.commandType] ?? first.commandType
    lines.push({ kind: 'run', run: { from: i, to: end, userId: first.userId, what } })
    if (expanded.has(i)) for (let k = i; k <= end; k++) lines.push({ kind: 'row', index: k })
    i = end + 1
  }
  return lines
}

/** The last index of the run that begins here; the index itself if there is none. */
function runFrom(from: number, count: number, row: (index: number) => Op | undefined): number {
  const first = row(from)
  if (first === undefined || !canRun(first)) return from
  let end = from
  for (let i = from + 1; i < Math.min(count, from + RUN_MAX); i++) {
    const [newer, next] = [row(i - 1), row(i)]
    if (newer === undefined || next === undefined || !canRun(next)) break
    const isSame =
      next.userId === first.userId && next.clientId === first.clientId && next.commandType === first.commandType
    if (!isSame || newer.timestamp - next.timestamp > PAUSE_MS) break
    end = i
  }
  return end
}

function canRun(op: Op): boolean {
  const isPlain = op.restores === undefined && (op.undoes === undefined || op.undoes.length === 0)
  return op.status === 'completed' && isPlain && op.commandType in WHAT
}
