/** All keys that work on this page. */
import { Dialog } from '../shared/dialog.tsx'
import { isMac, type Shortcut, useShortcuts } from '../shared/keys.ts'

const NAMES: Record<string, string> = {
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  mod: isMac ? '⌘' : 'Ctrl',
  shift: 'Shift',
  ' ': 'Space',
}

export function Help({ onClose }: { onClose: () => void }) {
  const shortcuts = useShortcuts()
  const groups = new Map<string, Shortcut[]>()
  for (const shortcut of shortcuts) {
    const group = shortcut.group ?? 'Everywhere'
    const list = groups.get(group) ?? []
    if (!list.some(({ keys }) => keys === shortcut.keys)) groups.set(group, [...list, shortcut])
  }
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose} wide>
      <div className="dialog-body help">
        {[...groups].map(([group, shortcuts]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {shortcuts.map(({ keys, label }) => (
                <div key={keys}>
                  <dt>{label}</dt>
                  <dd>
                    <Keys keys={keys} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}

function Keys({ keys }: { keys: string }) {
  return keys.split(' ').map((part, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the order is what they are
    <span key={index} className="keys">
      {(part === '+' ? ['+'] : part.split('+')).map((key) => (
        <kbd key={key}>{NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key)}</kbd>
      ))}
    </span>
  ))
}
