/** Native dialogs: focus stays inside and begins at the first field, Escape closes. */
import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'

export function Dialog({
  title,
  onClose,
  children,
  wide = false,
  className = '',
}: {
  title: ReactNode
  /** Absent: it can't be closed. */
  onClose?: (() => void) | undefined
  children: ReactNode
  wide?: boolean
  className?: string
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const heading = useId()
  useEffect(() => {
    const element = dialog.current!
    const before = document.activeElement as HTMLElement | null
    element.showModal()
    element.querySelector<HTMLElement>('input, select, textarea')?.focus()
    return () => {
      element.close()
      before?.focus()
    }
  }, [])
  return (
    <dialog
      ref={dialog}
      className={`dialog ${wide ? 'wide' : ''} ${className}`}
      aria-labelledby={heading}
      onCancel={(event) => {
        // That of a file chooser bubbles, and is no wish to close the dialog.
        if (event.target !== event.currentTarget) return
        event.preventDefault()
        onClose?.()
      }}
      onClose={({ currentTarget: element }) => {
        // Chromium closes on the second Escape without asking. While this is mounted it is open.
        if (element.open) return
        if (onClose !== undefined) onClose()
        else element.showModal()
      }}
    >
      <header className="dialog-head">
        <h2 id={heading}>{title}</h2>
        {onClose !== undefined && (
          <button type="button" className="icon" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        )}
      </header>
      {children}
    </dialog>
  )
}

/**
 * Asks before an act. One that destroys something has its id typed, and the text says what can be taken back and until when (K2).
 */
export function ConfirmDialog({
  title,
  typed,
  action,
  onConfirm,
  onClose,
  children,
}: {
  title: string
  /** What has to be typed, if the act destroys something: then the button warns too. */
  typed?: string
  action: string
  /** Throws if it did not work: the dialog stays open and shows `children`. */
  onConfirm: () => Promise<void>
  onClose: () => void
  children: ReactNode
}) {
  const [text, setText] = useState('')
  const [busy, setBusy] = useState(false)
  const ready = typed === undefined || text === typed
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    if (!ready || busy) return
    setBusy(true)
    try {
      await onConfirm()
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={(event) => void submit(event).catch(() => undefined)} className="dialog-body">
        {children}
        {typed !== undefined && (
          <label className="field">
            <span>
              Type <code>{typed}</code> to go on
            </span>
            <input
              value={text}
              onChange={(event) => setText(event.target.value)}
              autoComplete="off"
              spellCheck={false}
            />
          </label>
        )}
        <footer className="dialog-foot">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className={typed === undefined ? 'primary' : 'danger'} disabled={!ready || busy}>
            {busy ? 'Working…' : action}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
