/**
 * Serves dist/ the way the server is to: index.html for every address below `/console/`, its assets below a folder named by their
 * hash, all with the policy. Everything else goes to the server behind, at any prefix.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { extname, join } from 'node:path'
import { dist } from './places.ts'

export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
}
const SECURE = {
  'Content-Security-Policy': CSP,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
}

export interface Served {
  /** Without a slash at its end; the console is below `/console/`. */
  origin: string
  close(): Promise<void>
}

/** `prefix` is what a proxy in front puts before all paths: `/tools/dao`. */
export async function serve(apiPort: () => number, prefix = ''): Promise<Served> {
  const hash = hashOf(join(dist, 'assets'))
  const sockets = new Set<Socket>()
  const server: Server = createServer((asked, answer) => {
    const path = new URL(asked.url!, 'http://x').pathname
    if (!path.startsWith(`${prefix}/`)) return void answer.writeHead(404).end()
    const rest = path.slice(prefix.length)
    if (rest.startsWith('/console/')) return serveFile(rest.slice('/console/'.length), hash, answer)
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

function hashOf(folder: string): string {
  const sum = createHash('sha256')
  for (const name of readdirSync(folder).sort()) sum.update(readFileSync(join(folder, name)))
  return sum.digest('hex').slice(0, 8)
}

function serveFile(path: string, hash: string, answer: ServerResponse): void {
  const asset = path.startsWith('assets/') ? join(dist, 'assets', path.replace(/^assets\/[0-9a-f]{8}\//, '')) : null
  if (asset !== null) {
    if (!existsSync(asset)) return void answer.writeHead(404, SECURE).end()
    answer.writeHead(200, { ...SECURE, 'Content-Type': TYPES[extname(asset)] ?? 'application/octet-stream' })
    return void answer.end(readFileSync(asset))
  }
  const up = '../'.repeat(path.split('/').length - 1)
  const page = readFileSync(join(dist, 'index.html'), 'utf8').replaceAll('"./assets/', `"${up || './'}assets/${hash}/`)
  answer.writeHead(200, { ...SECURE, 'Content-Type': TYPES['.html'] })
  answer.end(page)
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
