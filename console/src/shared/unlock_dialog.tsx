/** Asked where a write is wanted while editing is locked (K2): unlocks, and goes on with it. */
import { ConfirmDialog } from './dialog.tsx'
import { useUnlock } from './unlock.ts'

export function UnlockDialog({ id, onUnlocked, onClose }: { id: string; onUnlocked: () => void; onClose: () => void }) {
  const [, setUnlocked] = useUnlock(id)
  const unlock = async (): Promise<void> => {
    setUnlocked(true)
    onUnlocked()
  }
  return (
    <ConfirmDialog title="Editing is locked" action="Unlock editing" onConfirm={unlock} onClose={onClose}>
      <p>
        Unlock editing of <code>{id}</code> in this tab first. Nothing is written yet: what you chose is asked next.{' '}
        <em>Lock</em> at the top ends it.
      </p>
    </ConfirmDialog>
  )
}
