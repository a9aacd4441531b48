/** The SDK's fold, which is pinned to the server's by shared vectors. The one place that names where it is. */
export {
  fromState,
  type GraphEvent,
  GraphState,
  picture,
  type StateJson,
} from '../../../sdk/packages/client/src/model/index.ts'
