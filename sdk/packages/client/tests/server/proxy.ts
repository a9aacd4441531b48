/** A TCP proxy that a test cuts: between clients and the server, as bad networks are. */

import { type AddressInfo, createServer, connect as dial, type Server as Listener, type Socket } from 'node:net'

export class CuttingProxy {
  /** Whether new connections are refused. */
  isDown = false
  private readonly listener: Listener
  private readonly pairs = new Set<[Socket, Socket]>()

  private constructor(listener: Listener) {
    this.listener = listener
  }

  static async to(port: () => number): Promise<CuttingProxy> {
    const listener = createServer()
    const proxy = new CuttingProxy(listener)
    listener.on('connection', (client) => {
      if (proxy.isDown) {
        client.destroy()
        return
      }
      const server = dial(port(), '127.0.0.1')
      const pair: [Socket, Socket] = [client, server]
      proxy.pairs.add(pair)
      const end = (): void => {
        proxy.pairs.delete(pair)
        client.destroy()
        server.destroy()
      }
      for (const socket of pair) socket.on('error', end).on('close', end)
      client.pipe(server)
      server.pipe(client)
    })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port
  }

  /** Ends some connections without a word; what is on the way is lost. */
  cut(which: (index: number) => boolean = () => true): void {
    for (const [index, [client, server]] of [...this.pairs].entries()) {
      if (!which(index)) continue
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
  }

  /** Lets nothing through in one direction for a while: an acknowledgement may be lost while the commit is made. */
  stall(ms: number, direction: 'to server' | 'to client'): void {
    for (const [client, server] of this.pairs) {
      const [from, to] = direction === 'to server' ? [client, server] : [server, client]
      from.unpipe(to)
      setTimeout(() => from.pipe(to), ms)
    }
  }

  async end(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.listener.close(resolve))
  }
}
