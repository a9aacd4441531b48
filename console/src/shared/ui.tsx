/** Small parts that every screen uses. Their looks are in base.css. */
import { type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { hueOf } from './format.ts'

export function CopyButton({ text, label = 'Copy', children }: { text: string; label?: string; children?: ReactNode }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 1_500)
    return () => clearTimeout(timer)
  }, [copied])
  return (
    <button
      type="button"
      className={children === undefined ? 'icon small' : 'link'}
      aria-label={copied ? 'Copied' : label}
      title={label}
      onClick={(event) => {
        event.stopPropagation()
        void copy(text).then(setCopied)
      }}
    >
      {children ?? (copied ? '✓' : <CopyIcon />)}
      {children !== undefined && copied && ' ✓'}
    </button>
  )
}

function CopyIcon() {
  return (
    <svg
      viewBox="0 0 16 16"
      width="14"
      height="14"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.4"
      aria-hidden="true"
    >
      <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
      <path d="M10.5 3.5v-.3c0-.7-.5-1.2-1.2-1.2H3.7C3 2 2.5 2.5 2.5 3.2v5.6c0 .7.5 1.2 1.2 1.2H4" />
    </svg>
  )
}

/** `navigator.clipboard` does not exist on plain http pages. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'quiet'
const SHAPES: Record<Tone, string> = { ok: '●', warn: '▲', bad: '✕', info: '◆', quiet: '○' }

/** A state by shape, colour and word. */
export function Status({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={`status status-${tone}`} title={title}>
      <span className="status-shape" aria-hidden="true">
        {SHAPES[tone]}
      </span>
      {children}
    </span>
  )
}

export function Tag({ children, onClick, title }: { children: ReactNode; onClick?: () => void; title?: string }) {
  if (onClick === undefined)
    return (
      <span className="tag" title={title}>
        {children}
      </span>
    )
  return (
    <button type="button" className="tag" onClick={onClick} title={title}>
      {children}
    </button>
  )
}

/** A user by a coloured initial and name. */
export function User({ id, nameless = false }: { id: string; nameless?: boolean }) {
  const hue = hueOf(id)
  return (
    <span className="user" title={id}>
      <span className="user-dot" aria-hidden="true" style={{ '--hue': hue } as React.CSSProperties}>
        {[...id][0]?.toUpperCase() ?? '?'}
      </span>
      {nameless ? <span className="hidden">{id}</span> : <span className="user-name">{id}</span>}
    </span>
  )
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <strong>{title}</strong>
      {children !== undefined && <div className="empty-body">{children}</div>}
    </div>
  )
}

export function Loading({ what }: { what: string }) {
  return (
    <p className="loading" role="status">
      <span className="spinner" aria-hidden="true" /> Loading {what}…
    </p>
  )
}

export interface MenuItem {
  label: ReactNode
  run(): void
  danger?: boolean
  /** It can't be run now, because of this; shown below the label. */
  why?: string | null
}

/** A button that opens a list of acts. */
export function Menu({ label, items, children }: { label: string; items: readonly MenuItem[]; children?: ReactNode }) {
  const id = useId()
  const button = useRef<HTMLButtonElement>(null)
  const list = useRef<HTMLDivElement>(null)
  const place = (): void => {
    const at = button.current!.getBoundingClientRect()
    const menu = list.current!
    menu.style.top = `${Math.min(at.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`
    menu.style.left = `${Math.max(8, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8))}px`
  }
  const move = (by: number): void => {
    const buttons = [...list.current!.querySelectorAll<HTMLButtonElement>('button')]
    const now = buttons.indexOf(document.activeElement as HTMLButtonElement)
    buttons[(now + by + buttons.length) % buttons.length]?.focus()
  }
  return (
    <>
      <button
        ref={button}
        type="button"
        className={children === undefined ? 'icon' : ''}
        popoverTarget={id}
        aria-haspopup="menu"
      >
        {children ?? <span aria-hidden="true">⋯</span>}
        <span className="hidden">{label}</span>
      </button>
      <div
        ref={list}
        id={id}
        popover="auto"
        role="menu"
        tabIndex={-1}
        aria-label={label}
        className="menu"
        onToggle={(event) => {
          if (event.newState !== 'open') return
          place()
          move(1)
        }}
        onKeyDown={(event) => {
          if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
          event.preventDefault()
          move(event.key === 'ArrowDown' ? 1 : -1)
        }}
      >
        {items.map((item, index) => (
          <button
            // biome-ignore lint/suspicious/noArrayIndexKey: the items have no other name
            key={index}
            type="button"
            role="menuitem"
            className={item.danger === true ? 'menu-item danger-text' : 'menu-item'}
            aria-disabled={item.why != null}
            onClick={() => {
              if (item.why != null) return
              list.current!.hidePopover()
              item.run()
            }}
          >
            <span>{item.label}</span>
            {item.why != null && <small>{item.why}</small>}
          </button>
        ))}
      </div>
    </>
  )
}
