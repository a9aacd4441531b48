/**
 * Who uses this tab: a token (server with keys) or a user name (server without keys).
 *
 * The token is in memory, and in `sessionStorage` only if the user asked for it; never in `localStorage` or an address.
 * An expired token does not end the session: `phase` stays `signed-in`, `expired` asks for a new one over the page, and
 * requests wait for it.
 */
import { useSyncExternalStore } from 'react'
import { sentence } from './format.ts'
import { apiRoot } from './place.ts'
import type { Access, Home, Whoami } from './types.ts'

export type Mode = 'bearer' | 'x-user-id'

export interface Session {
  readonly phase: 'starting' | 'unreachable' | 'signed-out' | 'signed-in'
  readonly mode: Mode
  readonly userId: string
  readonly access: Readonly<Record<string, string>>
  readonly expiresAt: number | null
  /** The server refuses the token: a new one is needed. */
  readonly expired: boolean
}

/** Why a token or name was not taken. */
export class SignInError extends Error {
  constructor(
    message: string,
    /** The server's code and the id of the request, if it was the server that refused. */
    readonly code: string | null = null,
    readonly requestId: string | null = null,
    /** Nothing was judged: the same may be taken later. */
    readonly passing: boolean = false,
  ) {
    super(message)
  }
}

const STORED = 'dao-console-session'
const START: Session = { phase: 'starting', mode: 'bearer', userId: '', access: {}, expiresAt: null, expired: false }

let session: Session = START
let token: string | null = null
let kept = false
let timer: ReturnType<typeof setTimeout> | undefined
const waiting: { resolve(): void; reject(why: Error): void }[] = []
const listeners = new Set<() => void>()

function set(change: Partial<Session>): void {
  session = { ...session, ...change }
  for (const listener of listeners) listener()
}

export const currentSession = (): Session => session
export const currentToken = (): string | null => token

export function subscribeSession(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useSession = (): Session => useSyncExternalStore(subscribeSession, currentSession)

/** What says who asks, for one request. A name that no header can hold goes into the query (O2). */
export function identify(
  url: URL,
  headers: Headers,
  as: { token: string | null; userId: string } = { token, userId: session.userId },
): void {
  if (as.token !== null) headers.set('Authorization', `Bearer ${as.token}`)
  else if (/^[\x20-\x7e]+$/.test(as.userId)) headers.set('X-User-Id', as.userId)
  else if (as.userId !== '') url.searchParams.set('userId', as.userId)
}

/** Asks the server what it wants, and signs in with what the tab remembers. */
export async function startSession(): Promise<void> {
  set({ phase: 'starting' })
  try {
    const answer = await fetch(apiRoot, { headers: { Accept: 'application/json' } })
    const { authentication } = (await answer.json()) as Partial<Home>
    if (!answer.ok || authentication === undefined) return set({ phase: 'unreachable' })
    set({ mode: authentication })
  } catch {
    return set({ phase: 'unreachable' })
  }
  const remembered = sessionStorage.getItem(STORED)
  if (remembered === null) return set({ phase: 'signed-out' })
  try {
    await signIn(remembered, true)
  } catch (error) {
    if (error instanceof SignInError && error.passing) return set({ phase: 'unreachable' })
    sessionStorage.removeItem(STORED)
    set({ phase: 'signed-out' })
  }
}

/** `secret` is a token, or the user's name on a server without keys. */
export async function signIn(secret: string, keep: boolean): Promise<void> {
  const value = secret.trim()
  const as = session.mode === 'bearer' ? { token: value, userId: '' } : { token: null, userId: value }
  const who = await whoami(as)
  if (session.expired && session.userId !== who.userId)
    throw new SignInError(`This token is ${who.userId}'s. You are signed in as ${session.userId}. Sign out first.`)
  token = as.token
  kept = keep
  if (keep) sessionStorage.setItem(STORED, value)
  else sessionStorage.removeItem(STORED)
  set({ phase: 'signed-in', userId: who.userId, access: who.access, expiresAt: who.expiresAt, expired: false })
  watchExpiry()
  for (const one of waiting.splice(0)) one.resolve()
}

async function whoami(as: { token: string | null; userId: string }): Promise<Whoami> {
  const url = new URL('whoami', apiRoot)
  const headers = new Headers({ Accept: 'application/json' })
  try {
    identify(url, headers, as)
  } catch {
    throw new SignInError('This is not a token: it has characters that no token has.')
  }
  let answer: Response
  try {
    answer = await fetch(url, { headers })
  } catch {
    throw new SignInError('The server does not answer. Try again.', null, null, true)
  }
  if (answer.ok) return answer.json()
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string; code?: string }
  const detail = problem.detail ?? `The server answered ${answer.status}`
  const passing = answer.status === 429 || answer.status >= 500
  throw new SignInError(sentence(detail), problem.code ?? null, answer.headers.get('X-Request-Id'), passing)
}

export function signOut(): void {
  clearTimeout(timer)
  token = null
  kept = false
  sessionStorage.removeItem(STORED)
  for (const one of waiting.splice(0)) one.reject(new SignInError('Signed out.'))
  set({ phase: 'signed-out', userId: '', access: {}, expiresAt: null, expired: false })
}

/** The server refused the token. Resolves when there is a new one; rejects if the user signs out. */
export function renewed(refused: string | null): Promise<void> {
  if (refused !== token) return Promise.resolve()
  if (session.phase !== 'signed-in') return Promise.reject(new SignInError('Signed out.'))
  if (!session.expired) set({ expired: true })
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
}

/** Whether the token is kept over a reload, for the form that asks for the next one. */
export const isKept = (): boolean => kept

const LONGEST_TIMER_MS = 2_000_000_000

function watchExpiry(): void {
  clearTimeout(timer)
  if (session.expiresAt === null) return
  const left = session.expiresAt - Date.now()
  timer = setTimeout(
    () => (left > LONGEST_TIMER_MS ? watchExpiry() : set({ expired: true })),
    Math.min(left, LONGEST_TIMER_MS),
  )
}

const RANK: Record<string, number> = { read: 1, write: 2, admin: 3 }

/** Whether the session has this right on a graph: the highest glob that matches counts (O1). */
export function mayOn(graphId: string, right: Access, of: Pick<Session, 'access'> = session): boolean {
  return Object.entries(of.access).some(([glob, has]) => (RANK[has] ?? 0) >= RANK[right]! && matches(glob, graphId))
}

/** Whether there is any graph that the session may write to. */
export const mayWriteSomething = (of: Pick<Session, 'access'> = session): boolean =>
  Object.values(of.access).some((has) => has !== 'read')

/** Admin on `*` itself: what concerns all graphs at once. */
export const mayAll = (of: Pick<Session, 'access'> = session): boolean => of.access['*'] === 'admin'

function matches(glob: string, text: string): boolean {
  const parts = glob.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(text)
}
