import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../../..', import.meta.url))
export const shots: string = fileURLToPath(new URL('../shots', import.meta.url))
export const chromium: string = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** The server's program: that of DAO_API_BIN, or what cargo built. */
export function binary(): string {
  const given = process.env.DAO_API_BIN
  const found =
    given ?? ['release', 'debug'].map((kind) => `${root}target/${kind}/dao-api`).find((path) => existsSync(path))
  if (found === undefined) throw new Error('No server: set DAO_API_BIN, or run cargo build')
  return found
}

/** With `DAO_CONSOLE_SHORT=1`, as the gate runs them, tests of each screen look at it in one theme. */
export const themes: readonly ('light' | 'dark')[] =
  process.env.DAO_CONSOLE_SHORT === '1' ? ['dark'] : ['light', 'dark']
