/** What a tab remembers is not forgotten because the server is away for a moment. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { currentSession, currentToken, signOut, startSession } from '../src/shared/session.ts'

const KEY = 'dao-console-session'
let kept: Map<string, string>
let home: () => Response
let whoami: () => Response

beforeEach(() => {
  kept = new Map([[KEY, 'a.b.c']])
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  })
  vi.stubGlobal('fetch', async (url: URL | string) => (String(url).endsWith('/whoami') ? whoami() : home()))
  home = () => Response.json({ authentication: 'bearer' })
  whoami = () => Response.json({ userId: 'ada', access: { '*': 'admin' }, expiresAt: null })
})
afterEach(() => {
  signOut()
  vi.unstubAllGlobals()
})

const refuse = (status: number) => () => Response.json({ code: 'X', detail: 'x' }, { status })
const away = (): never => {
  throw new TypeError('fetch failed')
}

test('k1_a_tab_is_signed_in_with_what_it_remembers', async () => {
  await startSession()
  expect(currentSession()).toMatchObject({ phase: 'signed-in', userId: 'ada', mode: 'bearer' })
  expect(currentToken()).toBe('a.b.c')
})

test.each([
  ['away', away],
  ['busy', refuse(429)],
  ['unavailable', refuse(503)],
])('k1_a_server_that_is_%s_does_not_make_the_tab_forget', async (_, answer) => {
  whoami = answer
  await startSession()
  expect(currentSession().phase).toBe('unreachable')
  expect(kept.get(KEY)).toBe('a.b.c')
})

test('k1_a_refused_token_is_forgotten', async () => {
  whoami = refuse(401)
  await startSession()
  expect(currentSession().phase).toBe('signed-out')
  expect(kept.has(KEY)).toBe(false)
})

test.each([
  ['away', away],
  ['unavailable', refuse(503)],
  ['another', () => Response.json({})],
])('k1_a_server_that_is_%s_is_not_one_without_keys', async (_, answer) => {
  home = answer
  await startSession()
  expect(currentSession().phase).toBe('unreachable')
})
