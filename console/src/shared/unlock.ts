/**
 * Read-only until unlocked (K2): for one thing (a graph's id, `subscription:<name>`, `graphs`) in this tab, until it is locked or
 * the tab is closed.
 */
import { useSyncExternalStore } from 'react'
import { currentSession, subscribeSession } from './session.ts'

const unlocked = new Set<string>()
const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function setUnlocked(what: string, open: boolean): void {
  if (open) unlocked.add(what)
  else unlocked.delete(what)
  for (const listener of listeners) listener()
}

export const isUnlocked = (what: string): boolean => unlocked.has(what)

export function useUnlock(what: string): readonly [boolean, (open: boolean) => void] {
  const open = useSyncExternalStore(subscribe, () => unlocked.has(what))
  return [open, (next) => setUnlocked(what, next)]
}

/** Everything is locked again when the user signs out. */
subscribeSession(() => {
  if (currentSession().phase === 'signed-in' || unlocked.size === 0) return
  unlocked.clear()
  for (const listener of listeners) listener()
})
