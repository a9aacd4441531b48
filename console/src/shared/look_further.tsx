/** Under a list whose search has found nothing for long (A1). */
import type { Pages } from './use_pages.ts'

export function LookFurther({ list, what }: { list: Pages<unknown>; what: string }) {
  if (!list.dry) return null
  return (
    <p className="row" role="status">
      <span className="quiet">
        The server has looked far and found no {list.items.length === 0 ? '' : 'more '}
        {what} yet.
      </span>
      <button type="button" disabled={list.loading} onClick={list.loadMore}>
        {list.loading ? 'Looking…' : 'Look further'}
      </button>
    </p>
  )
}
