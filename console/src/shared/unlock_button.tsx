/** The way out of read-only, and back (K2). */
import { Status } from './ui.tsx'

export function UnlockButton({ unlocked, setUnlocked }: { unlocked: boolean; setUnlocked: (open: boolean) => void }) {
  if (!unlocked)
    return (
      <button type="button" onClick={() => setUnlocked(true)}>
        Unlock editing
      </button>
    )
  return (
    <>
      <Status tone="warn">Editing is unlocked</Status>
      <button type="button" onClick={() => setUnlocked(false)}>
        Lock
      </button>
    </>
  )
}
