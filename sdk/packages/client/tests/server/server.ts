/** The real server, started by the test on a free port with a store of its own. */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const target = fileURLToPath(new URL('../../../../../target/', import.meta.url))

export function binary(): string {
  const named = process.env.DAO_BINARY
  const found = named ?? ['debug', 'release'].map((kind) => join(target, kind, 'dao-api')).find(existsSync)
  if (found === undefined) throw new Error('there is no server binary: run `cargo build`, or set DAO_BINARY')
  return found
}

export class Server {
  readonly folder: string
  port = 0
  private process: ChildProcess | null = null
  private readonly settings: Record<string, string>

  constructor(settings: Record<string, string> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'dao-sdk-'))
    this.settings = settings
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Starts it, on the same port as before if it ran. */
  async start(): Promise<void> {
    const child = spawn(binary(), [], {
      env: {
        ...process.env,
        DATA_DIR: join(this.folder, 'data'),
        PORT: String(this.port),
        LOG_FORMAT: 'text',
        DURABILITY: 'interval',
        ...this.settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.process = child
    this.port = await new Promise<number>((resolve, reject) => {
      let log = ''
      const read = (chunk: Buffer): void => {
        log += chunk.toString()
        const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(log)
        if (found) resolve(Number(found[1]))
      }
      child.stdout?.on('data', read)
      child.stderr?.on('data', read)
      child.on('exit', () => reject(new Error(`the server ended:\n${log}`)))
    })
  }

  /** As a power cut would: without a word. */
  async kill(): Promise<void> {
    const child = this.process
    this.process = null
    if (child === null || child.exitCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  async end(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** An answer of the server, whatever its status is. */
  async get(path: string): Promise<unknown> {
    const answer = await fetch(`${this.origin}${path}`)
    return answer.json()
  }
}
