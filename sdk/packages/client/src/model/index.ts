/**
 * The model: graphs, commits folded into them, and commands decided on them, as the server does. Pure functions without
 * I/O, clocks or random numbers, pinned to the server by the vectors in `sdk/vectors`.
 *
 * | to | call |
 * |---|---|
 * | begin | `new GraphState()`, `fromState(json, previous?)` |
 * | apply a commit | `fold(state, events, at)`; in place: `state.apply(event, at)` |
 * | show pending actions on top | `const view = confirmed.fork()`, then `decide(view, action)` and `view.apply` for each |
 * | draw | `picture(state, previous?)` |
 * | store | `toState(state)` |
 * | find what an action builds on or hides | `footprint(state, action)`, `overlaps`, `touches` |
 * | undo | `remember(before, events)` when an operation is made, `decideUndo(state, operations, …)` later |
 */

export { edgesOfAll, withDescendants } from './ancestry.ts'
export {
  type Action,
  type Batch,
  type Command,
  DEFAULT_LIMITS,
  type Limits,
  type Member,
  type UndoCommand,
} from './command.ts'
export { type Decided, type Decision, decide } from './decide.ts'
export { parentsOf } from './entity.ts'
export { type At, type Entity, type EntityKind, entityOf, type GraphEvent, isDeletion, type Viewport } from './event.ts'
export { isEqual, isObject, plain, share } from './json.ts'
export { nodesInOrder } from './order.ts'
export { between, child, keysOf, leaves, merge } from './patch.ts'
export { type Footprint, footprint, overlaps, pathsOf, pathsOverlap, touches, type Written, writesOf } from './paths.ts'
export { picture } from './picture.ts'
export type { Refused } from './refused.ts'
export { fromState, type PlacesJson, type StateJson, toState } from './snapshot.ts'
export { fold, GraphState } from './state.ts'
export type { Placed } from './table.ts'
export { type Change, remember } from './undo/changes.ts'
export { decideUndo, type Undoing, type Undone, type UndoRefused } from './undo/decide_undo.ts'
export type { Skipped } from './undo/taking.ts'
export { tell } from './undo/tell.ts'
