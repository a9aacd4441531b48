/** Builds the example once, for all files. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { example, root } from './places.ts'

export default function build(): void {
  if (!existsSync(`${example}/node_modules`)) run('npm', ['ci'])
  run('npm', ['run', 'build'])
}

function run(program: string, args: string[]): void {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: example, encoding: 'utf8' })
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')} in ${example.slice(root.length)} failed:\n${stdout}${stderr}`)
}
