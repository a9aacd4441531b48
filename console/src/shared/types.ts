/** The server's types under short names. They are generated from its OpenAPI document. */
import type { components } from '@dao-api/client/wire'

type Schemas = components['schemas']

export type Access = Schemas['Access']
export type AuditedOperation = Schemas['AuditedOperation']
export type Authors = Schemas['Authors']
export type ActivityBuckets = Schemas['ActivityBuckets']
export type Activity = Schemas['Activity']
export type Accepted = Schemas['Accepted']
export type Changes = Schemas['Changes']
export type Commit = Schemas['Commit']
export type Conflict = Schemas['Conflict']
export type Connections = Schemas['Connections']
export type Difference = Schemas['Difference']
export type GraphList = Schemas['GraphList']
export type GraphRow = Schemas['GraphRow']
export type History = Schemas['History']
export type Home = Schemas['Home']
export type Label = Schemas['Label']
export type Operation = Schemas['Operation']
export type Operations = Schemas['Operations']
export type OpenConnection = Schemas['OpenConnection']
export type ParkedPage = Schemas['ParkedPage']
export type Parked = Schemas['Parked']
export type Presence = Schemas['Presence']
export type Problem = Schemas['Problem']
export type Ready = Schemas['Ready']
export type State = Schemas['State']
export type SubscriptionNames = Schemas['SubscriptionNames']
export type SubscriptionOverview = Schemas['SubscriptionOverview']
export type Verified = Schemas['Verified']
export type Whoami = Schemas['Whoami']

/** The attributes of a graph (L1), as far as they can be trusted: each is checked before it is shown. */
export interface Attributes {
  title?: string
  description?: string
  tags: string[]
  owner?: string
  readOnly: boolean
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

export function attributesOf(row: { attributes: { [key: string]: unknown } }): Attributes {
  const { title, description, tags, owner, settings } = row.attributes
  const known: Attributes = {
    tags: Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === 'string') : [],
    readOnly: (settings as { readOnly?: unknown } | undefined)?.readOnly === true,
  }
  const [t, d, o] = [text(title), text(description), text(owner)]
  if (t !== undefined) known.title = t
  if (d !== undefined) known.description = d
  if (o !== undefined) known.owner = o
  return known
}
