/** Surroundings that can end in the middle of anything, and in which time passes faster. */

import { type Environment, type Socket, surroundings } from '../../src/environment.ts'

/** How much faster: delays of seconds would make tests long. */
const SPEED = 10

const start = Date.now()

/** The time of the test, Unix milliseconds. */
export function fastNow(): number {
  return start + (Date.now() - start) * SPEED
}

export class Mortal implements Environment {
  private readonly real = surroundings()
  private readonly sockets = new Set<Socket>()
  private readonly draw: () => number
  private isDead = false
  private wakeUp: ((event: 'wake' | 'freeze') => void)[] = []

  constructor(draw: () => number) {
    this.draw = draw
  }

  now(): number {
    return Math.floor(fastNow())
  }

  random(): number {
    return this.draw()
  }

  after(ms: number, then: () => void): () => void {
    return this.real.after(ms / SPEED, () => {
      if (!this.isDead) then()
    })
  }

  onFrame(then: () => void): () => void {
    return this.after(16, then)
  }

  isVisible(): boolean {
    return true
  }

  onChange(listener: (event: 'wake' | 'freeze') => void): () => void {
    this.wakeUp.push(listener)
    return () => {
      this.wakeUp = this.wakeUp.filter((other) => other !== listener)
    }
  }

  /** The page is seen again, or is about to be suspended. */
  tell(event: 'wake' | 'freeze'): void {
    for (const listener of this.wakeUp) listener(event)
  }

  holdPage(): () => void {
    return () => {}
  }

  connect(url: string, protocol: string): Socket {
    if (this.isDead) throw new Error('nobody is here any more')
    const socket = this.real.connect(url, protocol)
    this.sockets.add(socket)
    return socket
  }

  /** As if the browser was killed: nothing happens any more. */
  kill(): void {
    this.isDead = true
    for (const socket of this.sockets) {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
    }
  }
}
