/** Where things are in the repository. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../../../../..', import.meta.url))
export const example: string = `${root}examples/react-flow`
export const chromium: string = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** The server's program: `DAO_API_BIN`, else what cargo built last. */
export function binary(): string {
  const built = ['debug', 'release'].map((profile) => `${root}target/${profile}/dao-api`)
  const found = [process.env.DAO_API_BIN, ...built].find((path) => path !== undefined && existsSync(path))
  if (found === undefined) throw new Error('No server to test with: run `cargo build`, or set DAO_API_BIN.')
  return found
}
