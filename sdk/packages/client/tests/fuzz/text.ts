import { type GraphState, toState } from '../../src/model/index.ts'
import { canonical } from '../model/canonical.ts'

/** What a graph holds, as text that is the same for equal graphs. */
export function content(state: GraphState): string {
  const { nodes, edges, viewport, attributes } = toState(state)
  return canonical({ nodes, edges, viewport, attributes })
}

/** A value in a few words, for a trace. */
export function brief(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll(/"([a-zA-Z]+)":/g, '$1:')
    .slice(0, 400)
}
