import { Link } from 'wouter'
import { graphsLink } from '../shared/links.ts'
import { setTheme, useDark } from '../shared/theme.ts'
import { Mark } from '../sign_in/sign_in_page.tsx'

export function DemoHead() {
  const isDark = useDark()
  return (
    <header className="demo-head">
      <Mark />
      <strong>dao-api</strong>
      <span className="quiet demo-claim">Two people edit one graph. Every edit is a commit, and none is lost.</span>
      <button
        type="button"
        className="icon spread"
        aria-label={isDark ? 'Light colours' : 'Dark colours'}
        title="Light or dark"
        onClick={() => setTheme(isDark ? 'light' : 'dark')}
      >
        {isDark ? '☀' : '☾'}
      </button>
      <Link href={graphsLink()} className="button">
        Open the console
      </Link>
    </header>
  )
}
