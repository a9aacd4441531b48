/** The title of the tab, which screen readers say after a change of page. */
import { useEffect } from 'react'

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · dao-api`
  }, [title])
}
