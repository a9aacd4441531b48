/**
 * A plan is a list of steps with small numbers, and running it needs nothing else: a step that makes no sense where the
 * world is does nothing. So any part of a plan is a plan, and a failing one can be made shorter.
 */

import { Random } from './random.ts'

export const KINDS = [
  'act',
  'up',
  'down',
  'cut',
  'connect',
  'refuse',
  'flush',
  'reload',
  'adopt',
  'replace',
  'wait',
  'undo',
  'redo',
  'tick',
] as const

export type Kind = (typeof KINDS)[number]

/** One step: which, by or for which client, and what more it needs. */
export interface Step {
  readonly kind: Kind
  readonly client: number
  readonly a: number
  readonly b: number
}

export interface Plan {
  readonly clients: number
  /** Whether clients know only after a while, or never, how undo is predicted. */
  readonly isUndoLate: boolean
  readonly steps: readonly Step[]
}

/** How often a kind comes, among all. */
const WEIGHTS: { readonly [K in Kind]: number } = {
  act: 26,
  up: 18,
  down: 18,
  cut: 4,
  connect: 8,
  refuse: 2,
  flush: 6,
  reload: 3,
  adopt: 1,
  replace: 1,
  wait: 3,
  undo: 6,
  redo: 3,
  tick: 4,
}

const WEIGHED: readonly Kind[] = KINDS.flatMap((kind) => new Array<Kind>(WEIGHTS[kind]).fill(kind))

/** Seeds of plans in which undo is known late: two of eleven. */
const LATE = [6, 10]

export function planOf(seed: number): Plan {
  const random = new Random(seed)
  const clients = 2 + random.below(4)
  const length = 20 + random.below(70)
  const steps = Array.from({ length }, (): Step => {
    const kind = WEIGHED[random.below(WEIGHED.length)] as Kind
    return { kind, client: random.below(clients), a: random.next(), b: random.next() }
  })
  return { clients, isUndoLate: LATE.includes(seed % 11), steps }
}

/** A shorter plan that fails too: parts are left out, smaller and smaller ones (Zeller's ddmin, without complements). */
export function shrink(plan: Plan, fails: (plan: Plan) => boolean): Plan {
  let { steps } = plan
  for (let size = steps.length >> 1; size >= 1; size = size === 1 ? 0 : size >> 1) {
    let isShorter = true
    while (isShorter) {
      isShorter = false
      for (let at = 0; at < steps.length; ) {
        const without = [...steps.slice(0, at), ...steps.slice(at + size)]
        if (fails({ ...plan, steps: without })) {
          steps = without
          isShorter = true
        } else at += size
      }
    }
  }
  return { ...plan, steps }
}
