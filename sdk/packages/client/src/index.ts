/**
 * Follow and edit dao-api graphs: edits show at once, survive without a network, and are applied exactly once.
 *
 * The wire types are in `wire.ts`, generated from the server's OpenAPI document.
 */

export type * from './api.ts'
export { createClient } from './client.ts'
export { newId } from './ids.ts'
export { CommandRefused } from './refused.ts'
