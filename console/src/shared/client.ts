/**
 * The one SDK client of the tab, made when somebody needs it. A hidden tab has none: it is closed after a moment, and made
 * again when the tab is seen (K9). Not imported by the list screens, so that they load without the SDK.
 */
import { type Client, createClient } from '@dao-api/client'
import { useSyncExternalStore } from 'react'
import { apiRoot } from './place.ts'
import { currentSession, currentToken, subscribeSession } from './session.ts'

/** So that a glance at another tab does not reconnect. */
const HIDDEN_MS = 10_000

let client: Client | null = null
let madeFor = ''
let users = 0
let holds = 0
let timer: ReturnType<typeof setTimeout> | undefined
const listeners = new Set<() => void>()

function tell(): void {
  for (const listener of listeners) listener()
}

function open(): void {
  const { phase, userId, mode } = currentSession()
  if (client !== null || users === 0 || phase !== 'signed-in' || document.hidden) return
  const url = new URL('ws', apiRoot.replace(/^http/, 'ws'))
  if (mode === 'x-user-id') url.searchParams.set('userId', userId)
  client = createClient({ url: url.href, ...(mode === 'bearer' ? { token } : {}) })
  madeFor = userId
  tell()
}

async function token(): Promise<string> {
  const now = currentToken()
  if (now === null || currentSession().expired) throw new Error('The token has expired.')
  return now
}

function close(): void {
  if (client === null) return
  client.close()
  client = null
  tell()
}

function onVisibility(): void {
  clearTimeout(timer)
  if (!document.hidden) {
    open()
    return
  }
  timer = setTimeout(() => {
    if (holds === 0) close()
    else onVisibility()
  }, HIDDEN_MS)
}

function onSession(): void {
  const { phase, userId } = currentSession()
  if (phase !== 'signed-in' || userId !== madeFor) close()
  open()
}

if (typeof document !== 'undefined') {
  document.addEventListener('visibilitychange', onVisibility)
  subscribeSession(onSession)
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  users++
  queueMicrotask(open)
  return () => {
    listeners.delete(listener)
    users--
  }
}

/** Null while the tab is hidden or nobody is signed in. */
export const useClient = (): Client | null => useSyncExternalStore(subscribe, () => client)

/** Keeps the client open in a hidden tab while edits wait for their answers. Returns the way to let go. */
export function holdClient(): () => void {
  holds++
  let held = true
  return () => {
    if (held) holds--
    held = false
  }
}
