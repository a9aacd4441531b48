/** The example of docs/sdk.md, as a program: what it prints, with this `fetch`. */

import { readFileSync } from 'node:fs'
import { foldGraph } from '../../src/fold.ts'

const IMPORT = "import { foldGraph } from '@dao-api/client/fold'"

export async function runExample(fetch: (url: string, options: object) => Promise<Response>): Promise<string[]> {
  const text = readFileSync(new URL('../../../../../docs/sdk.md', import.meta.url), 'utf8')
  const [, code] = text.split(IMPORT)[1]?.match(/^([\s\S]*?)```/) ?? []
  if (code === undefined) throw new Error('docs/sdk.md has no example of foldGraph')
  const lines: string[] = []
  const body = `return (async () => {${code}})()`
  const run = new Function('foldGraph', 'fetch', 'console', body) as (...parts: unknown[]) => Promise<void>
  await run(foldGraph, fetch, { log: (line: string) => void lines.push(line) })
  return lines
}
