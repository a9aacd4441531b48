/**
 * The network between one editor and the server. A client whose cable is cut loses its real socket and gets no other one
 * until the cable is plugged in again.
 *
 * `createClient` takes no environment, so the demo makes the client from the parts that `createClient` makes it from.
 */
import type { Client } from '@dao-api/client'
import { ClientShell } from '@dao-api/client/client'
import { type Environment, type Socket, surroundings } from '@dao-api/client/environment'

/** No close frame was seen: what a browser says of a broken connection. */
const BROKEN = 1006

export class Cable {
  #isCut = false
  readonly #sockets = new Set<Socket>()
  readonly #wakers = new Set<() => void>()
  readonly #listeners = new Set<() => void>()

  /** A client that reaches the server by this cable. */
  client(url: string): Client {
    return new ClientShell({ url }, this.#environment())
  }

  readonly isCut = (): boolean => this.#isCut

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Closes the socket, and refuses every new one. */
  cut(): void {
    this.#set(true)
    for (const socket of this.#sockets) socket.onclose?.({ code: BROKEN })
  }

  plug(): void {
    this.#set(false)
    this.wake()
  }

  /** As when the browser says that the network is back: the client tries at once. */
  wake(): void {
    for (const wake of this.#wakers) wake()
  }

  #set(isCut: boolean): void {
    this.#isCut = isCut
    for (const listener of this.#listeners) listener()
  }

  #environment(): Environment {
    const world = surroundings()
    return {
      ...world,
      connect: (url, protocol) => (this.#isCut ? refused() : this.#opened(world.connect(url, protocol))),
      onChange: (listener) => {
        const wake = (): void => listener('wake')
        const stop = world.onChange(listener)
        this.#wakers.add(wake)
        return () => {
          this.#wakers.delete(wake)
          stop()
        }
      },
    }
  }

  #opened(socket: Socket): Socket {
    this.#sockets.add(socket)
    ;(socket as unknown as WebSocket).addEventListener('close', () => this.#sockets.delete(socket))
    return socket
  }
}

/** A socket that never opens. */
function refused(): Socket {
  const socket: Socket = {
    binaryType: 'arraybuffer',
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: () => {},
    close: () => {},
  }
  setTimeout(() => socket.onclose?.({ code: BROKEN }), 0)
  return socket
}
