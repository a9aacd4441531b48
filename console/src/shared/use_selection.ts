/** Which rows of a list are selected. What is not in the list any more is not selected either, also when it comes back. */
import { useState } from 'react'

export type Selection = ReadonlySet<string>

export function useSelection(ids: readonly string[]): readonly [Selection, (next: Selection) => void] {
  const [selected, setSelected] = useState<Selection>(new Set())
  const kept = onlyOf(selected, ids)
  if (kept !== selected) setSelected(kept)
  return [kept, setSelected]
}

/** The same set if all of it is there. */
export function onlyOf(selected: Selection, ids: readonly string[]): Selection {
  if (selected.size === 0) return selected
  const there = new Set(ids)
  const kept = [...selected].filter((id) => there.has(id))
  return kept.length === selected.size ? selected : new Set(kept)
}

/** With one more, or one less. */
export function toggled(selected: Selection, id: string, on: boolean): Selection {
  const after = new Set(selected)
  if (on) after.add(id)
  else after.delete(id)
  return after
}
