/**
 * Requests to the server. Every failure is an {@link ApiError}. A refused token (401) asks the user for another one and sends
 * the request again, so a page survives an expired token.
 */
import { apiRoot } from './place.ts'
import { currentToken, identify, renewed } from './session.ts'
import type { Problem } from './types.ts'

export class ApiError extends Error {
  constructor(
    /** 0: the server did not answer. */
    readonly status: number,
    /** The server's code, or `UNREACHABLE`. */
    readonly code: string,
    readonly detail: string,
    readonly requestId: string | null,
    /** Seconds. */
    readonly retryAfter: number | null,
    /** The whole problem document, if there was one. */
    readonly problem: Problem | null,
  ) {
    super(`${code}: ${detail}`)
  }
}

/** Nothing was judged: another attempt may work. */
export const isPassing = ({ status }: ApiError): boolean => status === 0 || status === 429 || status >= 500

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>

export interface Ask {
  signal?: AbortSignal
  /** Empty and absent values are left out. */
  query?: Query
  headers?: Readonly<Record<string, string>>
}

/** `path` is relative to the API's root: `graphs/g1/state`. Ids in it have to be encoded: see `seg` in links.ts. */
export async function get<T>(path: string, ask: Ask = {}): Promise<T> {
  const answer = await request('GET', path, ask)
  return parsed<T>(await textOf(answer, ask), answer)
}

export async function getText(path: string, ask: Ask = {}): Promise<string> {
  return textOf(await request('GET', path, ask), ask)
}

/** Anything but a GET; null for an answer without a body. Safe to call again only with the same operation id in the body or as `Idempotency-Key`. */
export async function send<T>(
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
  ask: Ask = {},
): Promise<T> {
  const answer = await request(method, path, ask, body)
  const text = await textOf(answer, ask)
  return text === '' ? (null as T) : parsed<T>(text, answer)
}

/** A connection that breaks within an answer is the same as one that breaks before it. */
async function unbroken<T>(read: Promise<T>, answer: Response, { signal }: Ask): Promise<T> {
  try {
    return await read
  } catch (error) {
    if (signal?.aborted) throw error
    throw local('UNREACHABLE', 'The answer of the server was cut off. Try again.', answer)
  }
}

const textOf = (answer: Response, ask: Ask): Promise<string> => unbroken(answer.text(), answer, ask)

function parsed<T>(text: string, answer: Response): T {
  try {
    return JSON.parse(text) as T
  } catch {
    throw local('NOT_JSON', 'The answer is not valid JSON. Check that no proxy answers for the server.', answer)
  }
}

/** What the console finds out itself. */
const local = (code: string, detail: string, answer: Response | null): ApiError =>
  new ApiError(0, code, detail, answer === null ? null : requestIdOf(answer), null, null)

/** Lines of JSON as they arrive. A line `{"error": …}` is thrown as an {@link ApiError}. */
export async function* lines<T>(path: string, ask: Ask = {}): AsyncGenerator<T, void, void> {
  for await (const line of rawLines(path, ask)) yield JSON.parse(line) as T
}

/** As {@link lines}, byte for byte as the server wrote them, without their ends. */
export async function* rawLines(path: string, ask: Ask = {}): AsyncGenerator<string, void, void> {
  const headers = { ...ask.headers, Accept: 'application/x-ndjson' }
  const answer = await request('GET', path, { ...ask, headers })
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await unbroken(reader.read(), answer, ask)
      const whole = (rest + (value ?? '')).split('\n')
      rest = done ? '' : whole.pop()!
      for (const line of whole) {
        if (line.trim() === '') continue
        throwIfError(line, answer)
        yield line
      }
      if (done) return
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

function throwIfError(line: string, answer: Response): void {
  if (!line.includes('"error"')) return
  const { error } = JSON.parse(line) as { error?: Problem }
  if (error?.code !== undefined) throw fromProblem(error, error.status, answer)
}

/** Saves an answer as a file of the user's. */
export async function download(path: string, name: string, ask: Ask = {}): Promise<void> {
  const answer = await request('GET', path, ask)
  save(await unbroken(answer.blob(), answer, ask), name)
}

export function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** A new operation id: a UUID, version 4 (`crypto.randomUUID` does not exist on plain http). */
export function newOperationId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

async function request(method: string, path: string, ask: Ask, body?: unknown): Promise<Response> {
  for (;;) {
    const used = currentToken()
    const answer = await once(method, path, ask, body)
    if (answer.ok || answer.status === 304) return answer
    if (answer.status !== 401) throw await problemOf(answer)
    const refusal = await problemOf(answer)
    await renewed(used).catch(() => {
      throw refusal
    })
    ask.signal?.throwIfAborted()
  }
}

async function once(method: string, path: string, ask: Ask, body?: unknown): Promise<Response> {
  const url = new URL(path.replace(/^\//, ''), apiRoot)
  for (const [name, value] of Object.entries(ask.query ?? {}))
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, String(value))
  const headers = new Headers({ Accept: 'application/json', ...ask.headers })
  identify(url, headers)
  const init: RequestInit = { method, headers }
  if (ask.signal !== undefined) init.signal = ask.signal
  if (body !== undefined) {
    headers.set('Content-Type', 'application/json')
    init.body = JSON.stringify(body)
  }
  try {
    return await fetch(url, init)
  } catch (error) {
    if (ask.signal?.aborted) throw error
    throw local('UNREACHABLE', 'The server does not answer. Check that it runs and that you are online.', null)
  }
}

async function problemOf(answer: Response): Promise<ApiError> {
  const problem = (await answer.json().catch(() => null)) as Problem | null
  return problem === null
    ? new ApiError(answer.status, `HTTP_${answer.status}`, answer.statusText, requestIdOf(answer), null, null)
    : fromProblem(problem, answer.status, answer)
}

const requestIdOf = (answer: Response): string | null => answer.headers.get('X-Request-Id')

function fromProblem(problem: Problem, status: number, answer: Response): ApiError {
  const after = Number(answer.headers.get('Retry-After') ?? Number.NaN)
  const retryAfter = Number.isFinite(after) ? after : null
  return new ApiError(status, problem.code, problem.detail ?? problem.title, requestIdOf(answer), retryAfter, problem)
}
