/** The server's types that the graph page reads, by short names. */
import type { components } from '@dao-api/client/wire'

type Schemas = components['schemas']

export type Commit = Schemas['Commit']
export type WireEvent = Schemas['Event']
export type AuditedOperation = Schemas['AuditedOperation']
export type Operations = Schemas['Operations']
export type Difference = Schemas['Difference']
export type Touch = Schemas['Touch']
export type EntityHistory = Schemas['History']
export type GraphRow = Schemas['GraphRow']
export type ActivityBuckets = Schemas['ActivityBuckets']
export type Activity = Schemas['Activity']
export type Authors = Record<string, { version: number; userId: string; timestamp: number }>
export type Verified = Schemas['Verified']
export type Changes = Schemas['Changes']
export type PresentClients = Schemas['Presence']
export type WireConflict = Schemas['Conflict']
