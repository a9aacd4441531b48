/** A proxy in front of the server, at any prefix. The address of a page stays while the server is killed and started again. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'

export interface Served {
  /** Without a slash at its end; the console is below `/console/`. */
  origin: string
  close(): Promise<void>
}

/** `prefix` is what a proxy in front puts before all paths: `/tools/dao`. */
export async function serve(apiPort: () => number, prefix = ''): Promise<Served> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((asked, answer) => {
    const path = new URL(asked.url!, 'http://x').pathname
    if (!path.startsWith(`${prefix}/`)) return void answer.writeHead(404).end()
    const below = path.slice(prefix.length)
    if (DIST !== undefined && below.startsWith('/console/')) return void console_(DIST, below, answer, apiPort())
    pass(asked, answer, apiPort(), prefix)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (asked, socket) => upgrade(asked, socket as Socket, apiPort(), prefix))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}${prefix}`,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Set, the console is that of this folder instead of that in the program: after `npm run build`, without building the server. */
const DIST = process.env.DAO_CONSOLE_DIST
const TYPES: Readonly<Record<string, string>> = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }

/** As the server does it, with its headers. */
async function console_(dist: string, path: string, answer: ServerResponse, port: number): Promise<void> {
  const asset = /\/assets\/[^/]+\/([\w.-]+)$/.exec(path)?.[1]
  try {
    if (asset !== undefined) {
      const bytes = readFileSync(join(dist, 'assets', asset))
      answer.setHeader('Content-Type', TYPES[asset.split('.').pop()!] ?? 'text/plain')
      return void answer.end(bytes)
    }
    const { headers } = await fetch(`http://127.0.0.1:${port}${path}`)
    const policy = headers.get('content-security-policy')
    if (policy !== null) answer.setHeader('Content-Security-Policy', policy)
    answer.setHeader('Content-Type', 'text/html; charset=utf-8')
    const up = '../'.repeat(path.split('/').length - 3) || './'
    answer.end(readFileSync(join(dist, 'index.html'), 'utf8').replaceAll('"./assets/', `"${up}assets/dist/`))
  } catch {
    answer.writeHead(404).end()
  }
}

function pass(asked: IncomingMessage, answer: ServerResponse, port: number, prefix: string): void {
  const path = asked.url!.slice(prefix.length)
  const on = request({ host: '127.0.0.1', port, path, method: asked.method, headers: asked.headers }, (from) => {
    answer.writeHead(from.statusCode!, from.headers)
    from.pipe(answer)
  })
  on.on('error', () => answer.destroy())
  answer.on('close', () => on.destroy())
  asked.pipe(on)
}

function upgrade(asked: IncomingMessage, socket: Socket, port: number, prefix: string): void {
  const on = connect(port, '127.0.0.1', () => {
    const head = [`GET ${asked.url!.slice(prefix.length)} HTTP/1.1`]
    for (let i = 0; i < asked.rawHeaders.length; i += 2) head.push(`${asked.rawHeaders[i]}: ${asked.rawHeaders[i + 1]}`)
    on.write(`${head.join('\r\n')}\r\n\r\n`)
    on.pipe(socket)
    socket.pipe(on)
  })
  on.on('error', () => socket.destroy())
  socket.on('error', () => on.destroy())
  socket.on('close', () => on.destroy())
}
