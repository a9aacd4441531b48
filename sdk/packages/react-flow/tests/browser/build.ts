/** Builds the example once, for all files. */
import { spawnSync } from 'node:child_process'
import { example, root } from './places.ts'

export default function build(): void {
  run(`${root}scripts/install-node.sh`, [])
  run('npm', ['run', 'build'])
}

function run(program: string, args: string[]): void {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: example, encoding: 'utf8' })
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')} in ${example.slice(root.length)} failed:\n${stdout}${stderr}`)
}
