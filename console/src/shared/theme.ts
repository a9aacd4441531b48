/** The theme: the system's, or the one that the user chose. The choice is no secret and lives in localStorage. */
import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

const KEY = 'dao-console-theme'
const listeners = new Set<() => void>()
let theme: Theme = read()

function read(): Theme {
  try {
    const stored = localStorage.getItem(KEY)
    return stored === 'light' || stored === 'dark' ? stored : 'system'
  } catch {
    return 'system'
  }
}

export function applyTheme(): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function setTheme(next: Theme): void {
  theme = next
  try {
    localStorage.setItem(KEY, next)
  } catch {
    // A private window: the choice lasts as long as the page.
  }
  applyTheme()
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, () => theme)

const dark = typeof matchMedia === 'undefined' ? null : matchMedia('(prefers-color-scheme: dark)')

function subscribeDark(listener: () => void): () => void {
  dark?.addEventListener('change', listener)
  return () => dark?.removeEventListener('change', listener)
}

/** What is shown: for canvases, which have to be drawn again. */
export function useDark(): boolean {
  const chosen = useTheme()
  const system = useSyncExternalStore(subscribeDark, () => dark?.matches ?? false)
  return chosen === 'system' ? system : chosen === 'dark'
}
