/** The way out of read-only, and back (K2). */
import { Status } from './ui.tsx'

interface Props {
  /** `false`: the user may write nothing here. */
  allowed?: boolean
  unlocked: boolean
  setUnlocked: (open: boolean) => void
}

export function UnlockButton({ allowed = true, unlocked, setUnlocked }: Props) {
  if (!unlocked)
    return (
      <button
        type="button"
        disabled={!allowed}
        title={allowed ? undefined : 'You may only read here.'}
        onClick={() => setUnlocked(true)}
      >
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
