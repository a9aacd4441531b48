/** Surroundings that a test moves by hand: time, frames, sockets. */

import type { Environment, Socket } from '../../src/environment.ts'

export class FakeSocket implements Socket {
  binaryType = ''
  onopen: ((event: never) => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  onerror: ((event: never) => void) | null = null
  readonly sent: Record<string, unknown>[] = []
  isClosed = false

  send(data: string | Uint8Array): void {
    this.sent.push(JSON.parse(data as string) as Record<string, unknown>)
  }

  close(): void {
    this.isClosed = true
  }

  /** The server says something. */
  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }

  open(): void {
    this.onopen?.(undefined as never)
  }

  end(code = 1006): void {
    this.onclose?.({ code })
  }

  types(): unknown[] {
    return this.sent.map(({ type }) => type)
  }
}

export class World implements Environment {
  time = 1_000_000
  visible = true
  chance = 1
  readonly sockets: FakeSocket[] = []
  readonly urls: string[] = []
  holds = 0
  private timers: { at: number; then: () => void }[] = []
  private frames: (() => void)[] = []
  private listeners: ((event: 'wake' | 'freeze') => void)[] = []

  now(): number {
    return this.time
  }

  random(): number {
    return this.chance
  }

  after(ms: number, then: () => void): () => void {
    const timer = { at: this.time + ms, then }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((other) => other !== timer)
    }
  }

  onFrame(then: () => void): () => void {
    this.frames.push(then)
    return () => {
      this.frames = this.frames.filter((other) => other !== then)
    }
  }

  isVisible(): boolean {
    return this.visible
  }

  onChange(listener: (event: 'wake' | 'freeze') => void): () => void {
    this.listeners.push(listener)
    return () => {
      this.listeners = this.listeners.filter((other) => other !== listener)
    }
  }

  holdPage(): () => void {
    this.holds += 1
    return () => {
      this.holds -= 1
    }
  }

  connect(url: string): Socket {
    const socket = new FakeSocket()
    this.urls.push(url)
    this.sockets.push(socket)
    return socket
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1) as FakeSocket
  }

  /** Time passes. What is due is done in order, and what waits for promises too. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms
    for (;;) {
      const next = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.timers = this.timers.filter((other) => other !== next)
      this.time = Math.max(this.time, next.at)
      next.then()
      await settle()
    }
    this.time = end
    await settle()
  }

  /** A frame is drawn. */
  draw(): void {
    const due = this.frames
    this.frames = []
    for (const then of due) then()
  }

  tell(event: 'wake' | 'freeze'): void {
    for (const listener of this.listeners) listener(event)
  }
}

/** Lets promises go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}
