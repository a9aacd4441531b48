/** A field whose value is in the address. */
import { useEffect, useState } from 'react'

const PAUSE_MS = 200

/** What is typed is set after a pause. A value that comes from elsewhere (back, a tag that was clicked) is shown. */
export function useTyped(value: string, set: (value: string) => void): readonly [string, (text: string) => void] {
  const [text, setText] = useState(value)
  const [before, setBefore] = useState(value)
  if (value !== before) {
    setBefore(value)
    setText(value)
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: only the text starts the pause
  useEffect(() => {
    if (text === value) return
    const timer = setTimeout(() => set(text), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [text])
  return [text, setText]
}
