/** Where the document is kept. What changed when the editor became one for several people is here. */
import type { Edge, Node, ReactFlowJsonObject } from '@xyflow/react'

export type FlowDocument = Pick<ReactFlowJsonObject<Node, Edge>, 'nodes' | 'edges'>

const query = new URLSearchParams(location.search)
const url = `/graphs/${encodeURIComponent(query.get('graph') ?? 'saved')}/document`
/** A server without keys believes this name. With keys, send `Authorization: Bearer …` instead. */
const headers = { 'x-user-id': query.get('user') ?? 'ada', 'x-client-id': crypto.randomUUID() }

/** What the picture in this window was loaded from, or saved as. */
let base = ''

export async function load(): Promise<FlowDocument> {
  const answer = await fetch(url, { headers })
  const document = await answer.json()
  if (!answer.ok) throw new Error(document.detail)
  base = answer.headers.get('x-base') ?? ''
  return document
}

/**
 * One save at a time. If others saved too, `show` gets what stands now, as long as the picture `isStill` what was sent. Returns
 * sentences for the user: what was not saved.
 */
export async function save(
  document: FlowDocument,
  isStill: () => boolean,
  show: (now: FlowDocument) => void,
): Promise<string[]> {
  const answer = await fetch(`${url}?base=${encodeURIComponent(base)}&onConflict=keep`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(document),
  })
  const saved = await answer.json()
  if (!answer.ok) throw new Error(saved.detail)
  const isShown = saved.document !== undefined && isStill()
  if (isShown) show(saved.document)
  base = isShown ? saved.document.base : saved.base
  return (saved.conflicts ?? []).map(sentence)
}

const sentence = ({ userId, current, yours }: Record<string, unknown>): string =>
  `${userId}’s ${JSON.stringify(current)} stands. Yours was ${JSON.stringify(yours)}.`
