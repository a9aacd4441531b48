/** What is around every page: navigation, palette, help, theme, who is signed in, and the form for a new token. */
import { type ReactNode, useEffect, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { Boundary } from '../shared/boundary.tsx'
import { Dialog } from '../shared/dialog.tsx'
import { isMac, useKeys } from '../shared/keys.ts'
import { graphsLink } from '../shared/links.ts'
import { Notices } from '../shared/notices.tsx'
import { SCREENS } from '../shared/screens.ts'
import { signOut, useSession } from '../shared/session.ts'
import { setTheme, type Theme, useTheme } from '../shared/theme.ts'
import { Menu, User } from '../shared/ui.tsx'
import { Mark, TokenForm } from '../sign_in/sign_in_page.tsx'
import { Help } from './help.tsx'
import { Palette } from './palette.tsx'
import './shell.css'

export function Shell({ children }: { children: ReactNode }) {
  const [path, navigate] = useLocation()
  const [open, setOpen] = useState<'palette' | 'help' | null>(null)
  const { expired } = useSession()
  useFocusAfterNavigation(path)
  useKeys([
    ...SCREENS.map(({ href, name, keys }) => ({
      keys,
      label: `Go to ${name.toLowerCase()}`,
      run: () => navigate(href),
    })),
    { keys: 'mod+k', label: 'Go to anything', run: () => setOpen('palette') },
    { keys: '?', label: 'Show all keys', run: () => setOpen('help') },
  ])
  return (
    <div className="shell">
      <button type="button" className="skip" onClick={focusMain}>
        Skip to the page
      </button>
      <header className="bar">
        <Link href={graphsLink()} className="bar-brand" aria-label="dao-api console: graphs">
          <Mark />
        </Link>
        <nav aria-label="Main" className="bar-nav">
          {SCREENS.map(({ href, name }) => (
            <Link key={href} href={href} aria-current={isAt(path, href) ? 'page' : undefined}>
              {name}
            </Link>
          ))}
        </nav>
        <button type="button" className="bar-search" onClick={() => setOpen('palette')}>
          <span>Go to anything</span> <kbd>{isMac ? '⌘' : 'Ctrl'} K</kbd>
        </button>
        <ThemeMenu />
        <button type="button" className="icon" aria-label="Keyboard shortcuts" onClick={() => setOpen('help')}>
          ?
        </button>
        <UserMenu />
      </header>
      <div className="shell-page">
        <Boundary page={path}>{children}</Boundary>
      </div>
      <Notices />
      {open === 'palette' && <Palette onClose={() => setOpen(null)} />}
      {open === 'help' && <Help onClose={() => setOpen(null)} />}
      {expired && (
        <Dialog title="Sign in again">
          <div className="dialog-body">
            <TokenForm renew />
          </div>
        </Dialog>
      )}
    </div>
  )
}

const isAt = (path: string, href: string): boolean => path === href || path.startsWith(`${href}/`)

function focusMain(): void {
  const main = document.querySelector('main')
  if (main === null) return
  main.tabIndex = -1
  main.focus({ preventScroll: true })
}

/** The link that was followed is often gone with its page: then the keyboard starts at the new page, not at the top. */
function useFocusAfterNavigation(path: string): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the path says when
  useEffect(() => {
    const timer = setTimeout(() => {
      if (document.activeElement === document.body) focusMain()
    }, 50)
    return () => clearTimeout(timer)
  }, [path])
}

const THEMES: readonly { theme: Theme; name: string; sign: string }[] = [
  { theme: 'system', name: 'As the system', sign: '◐' },
  { theme: 'light', name: 'Light', sign: '☀' },
  { theme: 'dark', name: 'Dark', sign: '☾' },
]

function ThemeMenu() {
  const now = useTheme()
  return (
    <Menu
      label="Theme"
      items={THEMES.map(({ theme, name, sign }) => ({
        label: `${sign} ${name}${theme === now ? ' ✓' : ''}`,
        run: () => setTheme(theme),
      }))}
    >
      <span aria-hidden="true">{THEMES.find(({ theme }) => theme === now)?.sign}</span>
    </Menu>
  )
}

function UserMenu() {
  const { userId, mode } = useSession()
  return (
    <Menu
      label={`Signed in as ${userId}`}
      items={[{ label: mode === 'bearer' ? 'Sign out' : 'Be somebody else', run: signOut }]}
    >
      <User id={userId} />
    </Menu>
  )
}
