/** The steps that led to a state, so that a test can take them again. */

import type { Inspected } from '../api.ts'
import type { Input } from '../machine/effects.ts'
import { GraphMachine } from '../machine/graph_machine.ts'
import { provideUndo } from '../machine/predict.ts'
import { decideUndo } from '../model/index.ts'

/** Inputs of one machine with their times, in order. Plain JSON. */
export interface Schedule {
  readonly graphId: string
  readonly clientId: string
  readonly steps: readonly { readonly at: number; readonly input: Input }[]
}

export function scheduleOf(graphId: string, clientId: string, entries: readonly Inspected[]): Schedule {
  const steps = entries.flatMap((entry) =>
    entry.type === 'step' && entry.graphId === graphId ? [{ at: entry.at, input: entry.input as Input }] : [],
  )
  return { graphId, clientId, steps }
}

/** A machine that took the steps. It is in the same state if they are all that ever happened to it. */
export function replay({ graphId, clientId, steps }: Schedule): GraphMachine {
  provideUndo(decideUndo)
  const machine = new GraphMachine({ graphId, clientId })
  // It may have been known before the first of the steps.
  machine.step({ type: 'learned' }, steps[0]?.at ?? 0)
  for (const { at, input } of steps) machine.step(input, at)
  return machine
}
