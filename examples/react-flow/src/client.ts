/** Who this is, which graph this is, and the one client of the page. */
import { type Client, createClient } from '@dao-api/client'
import { indexedDb } from '@dao-api/client/indexeddb'

const NAMES = ['Ada', 'Bob', 'Carol', 'Dennis', 'Edsger', 'Frances', 'Grace', 'Hedy']
const COLORS = ['#6366f1', '#db2777', '#0d9488', '#ea580c', '#7c3aed', '#0284c7', '#65a30d', '#e11d48']

const query = new URLSearchParams(location.search)

/** `?user=Ada` says who you are. Without it, each tab is somebody, and stays it over a reload. */
function userName(): string {
  const known = query.get('user') ?? sessionStorage.getItem('user')
  const name = known || NAMES[Math.floor(Math.random() * NAMES.length)]!
  sessionStorage.setItem('user', name)
  return name
}

export const graphId = query.get('graph') ?? 'demo'
export const user = userName()
export const userId = user.toLowerCase()

const letters = [...userId].reduce((sum, letter) => sum + letter.codePointAt(0)!, 0)
const known = NAMES.findIndex((name) => name.toLowerCase() === userId)
export const color = COLORS[(known === -1 ? letters : known) % COLORS.length]!

/**
 * The server of the example has no keys, so it believes the name in the URL. With keys, leave `userId` out and give
 * `token: () => fetch('/token').then((answer) => answer.text())`.
 */
export const client: Client = createClient({
  url: `${location.origin.replace(/^http/, 'ws')}/ws?userId=${encodeURIComponent(userId)}`,
  persist: indexedDb({ name: 'workflow-example', user: userId }),
})
