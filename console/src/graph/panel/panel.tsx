/** The right panel: tabs as buttons with the arrow keys of the pattern. */
import { type KeyboardEvent, type ReactNode, useRef } from 'react'
import { type Placed, TABS, type Tab } from '../place.ts'

const NAMES: Readonly<Record<Tab, string>> = {
  inspect: 'Inspect',
  history: 'History',
  conflicts: 'Conflicts',
  activity: 'Activity',
  proof: 'Proof',
}

export function Panel({ placed, children }: { placed: Placed; children: ReactNode }) {
  const { place, go } = placed
  const list = useRef<HTMLDivElement>(null)
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    if (step === 0) return
    event.preventDefault()
    const tab = TABS[(TABS.indexOf(place.tab) + step + TABS.length) % TABS.length] ?? 'inspect'
    go({ tab }, true)
    list.current?.querySelector<HTMLButtonElement>(`#gp-tab-${tab}`)?.focus()
  }
  return (
    <aside className="gp-panel" aria-label="Details">
      <div className="gp-tabs" role="tablist" aria-label="Details" ref={list} onKeyDown={onKeyDown}>
        {TABS.map((tab) => (
          <button
            key={tab}
            id={`gp-tab-${tab}`}
            type="button"
            role="tab"
            aria-selected={tab === place.tab}
            aria-controls="gp-tab-panel"
            tabIndex={tab === place.tab ? 0 : -1}
            onClick={() => go({ tab }, true)}
          >
            {NAMES[tab]}
          </button>
        ))}
      </div>
      <div id="gp-tab-panel" role="tabpanel" aria-labelledby={`gp-tab-${place.tab}`} className="gp-tab-panel">
        {children}
      </div>
    </aside>
  )
}
