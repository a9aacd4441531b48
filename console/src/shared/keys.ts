/**
 * Keyboard shortcuts. A component registers its own while it is mounted; `?` lists all that are registered.
 * Keys are as `KeyboardEvent.key` says, `mod+k` with Ctrl or ⌘, `g o` one after the other. The latest registration wins.
 */
import { useEffect, useRef, useSyncExternalStore } from 'react'

export interface Shortcut {
  keys: string
  label: string
  run(event: KeyboardEvent): void
  /** Shown in the help only under this heading; "Everywhere" by default. */
  group?: string
}

/** The key that `mod` stands for is ⌘ there. */
export const isMac: boolean = typeof navigator !== 'undefined' && /Mac|iP(hone|ad)/.test(navigator.platform)

const SEQUENCE_MS = 1_200

let registered: readonly Shortcut[] = []
let pending: { first: string; at: number } | null = null
let installed = false
const listeners = new Set<() => void>()

function change(next: readonly Shortcut[]): void {
  registered = next
  for (const listener of listeners) listener()
}

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null
  if (element === null || element.tagName === undefined) return false
  if (element.isContentEditable || element.tagName === 'TEXTAREA' || element.tagName === 'SELECT') return true
  return element.tagName === 'INPUT' && !/^(range|checkbox|radio|button)$/.test((element as HTMLInputElement).type)
}

function pressed(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  const mod = event.ctrlKey || event.metaKey ? 'mod+' : ''
  const shift = event.shiftKey && event.key.length > 1 ? 'shift+' : ''
  return `${mod}${shift}${key}`
}

/** What a key press starts, given what is registered. Exported for tests. */
export function find(shortcuts: readonly Shortcut[], first: string | null, key: string): Shortcut | 'begins' | null {
  const wanted = first === null ? key : `${first} ${key}`
  for (let i = shortcuts.length - 1; i >= 0; i--) if (shortcuts[i]!.keys === wanted) return shortcuts[i]!
  return first === null && shortcuts.some(({ keys }) => keys.startsWith(`${key} `)) ? 'begins' : null
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.altKey || event.isComposing) return
  const key = pressed(event)
  const withMod = key.startsWith('mod+')
  if (!withMod && (isTyping(event.target) || document.querySelector('dialog[open]') !== null)) return
  const first = pending !== null && event.timeStamp - pending.at < SEQUENCE_MS ? pending.first : null
  pending = null
  const found = find(registered, first, key) ?? (first === null ? null : find(registered, null, key))
  if (found === null) return
  if (found === 'begins') {
    pending = { first: key, at: event.timeStamp }
    return
  }
  event.preventDefault()
  found.run(event)
}

function install(): void {
  if (installed) return
  installed = true
  document.addEventListener('keydown', onKey)
}

/** Registers shortcuts while the component is mounted. `run` may change on each render. */
export function useKeys(shortcuts: readonly Shortcut[]): void {
  const latest = useRef(shortcuts)
  latest.current = shortcuts
  const signature = shortcuts.map(({ keys, label }) => `${keys}\n${label}`).join('\n\n')
  // biome-ignore lint/correctness/useExhaustiveDependencies: the signature stands for the list
  useEffect(() => {
    install()
    const mine = latest.current.map((shortcut, index) => ({
      ...shortcut,
      run: (event: KeyboardEvent) => latest.current[index]?.run(event),
    }))
    change([...registered, ...mine])
    return () => change(registered.filter((one) => !mine.includes(one)))
  }, [signature])
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useShortcuts = (): readonly Shortcut[] => useSyncExternalStore(subscribe, () => registered)
