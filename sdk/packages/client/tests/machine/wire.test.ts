/** The frames that the machine reads and writes are those that the server's OpenAPI document describes. */

import { expect, expectTypeOf, test } from 'vitest'
import type {
  AccessFrame,
  Ack,
  Disputed,
  Limits,
  PresenceFrame,
  Problem,
  Revert,
  Settled,
  StateUpdate,
  Sync,
  Welcome,
} from '../../src/machine/frames.ts'
import type { components } from '../../src/wire.ts'
import { Driver } from './driver.ts'

type Wire = components['schemas']
type Fields<T> = Exclude<keyof T, 'type'>
/** Fields whose values are compared: those that are not JSON of any shape. */
type Plain<T, K extends keyof T> = Pick<T, K>

test('W each field that is read is one that the server describes, with its type', () => {
  expectTypeOf<Fields<Welcome>>().toExtend<keyof Wire['WelcomeFrame']>()
  expectTypeOf<Fields<Limits>>().toExtend<keyof Wire['WelcomeFrame']['limits']>()
  expectTypeOf<Fields<Sync>>().toExtend<keyof Wire['SyncFrame']>()
  expectTypeOf<Fields<Settled>>().toExtend<keyof Wire['SettledOperation']>()
  expectTypeOf<Fields<StateUpdate>>().toExtend<keyof Wire['StateUpdateFrame']>()
  expectTypeOf<Fields<Ack>>().toExtend<keyof Wire['AckFrame']>()
  expectTypeOf<Fields<Revert>>().toExtend<keyof Wire['RevertFrame']>()
  expectTypeOf<Fields<PresenceFrame>>().toExtend<keyof Wire['PresenceFrame']>()
  expectTypeOf<Fields<AccessFrame>>().toExtend<keyof Wire['AccessFrame']>()
  expectTypeOf<Fields<Problem>>().toExtend<keyof Wire['ErrorFrame']>()
  expectTypeOf<Fields<Disputed>>().toExtend<keyof Wire['Conflict']>()
  expectTypeOf<Plain<Wire['SyncFrame'], 'graphId' | 'version' | 'hash' | 'status' | 'access'>>().toExtend<
    Plain<Sync, 'graphId' | 'version' | 'hash' | 'status' | 'access'>
  >()
  expectTypeOf<Plain<Wire['SettledOperation'], 'operationId' | 'status'>>().toExtend<
    Plain<Settled, 'operationId' | 'status'>
  >()
  expectTypeOf<Plain<Wire['StateUpdateFrame'], 'version' | 'operationId' | 'outcome' | 'timestamp'>>().toExtend<
    Plain<StateUpdate, 'version' | 'operationId' | 'outcome' | 'timestamp'>
  >()
  expectTypeOf<Plain<Wire['RevertFrame'], 'code' | 'message' | 'temporary' | 'version'>>().toExtend<
    Plain<Revert, 'code' | 'message' | 'temporary' | 'version'>
  >()
})

test('W each field that is sent is one that the server describes', () => {
  type Command = Record<keyof Wire['CommandFrame'] | 'type', true>
  type Batch = Record<keyof Wire['BatchFrame'] | 'type', true>
  const command: Command = {
    type: true,
    graphId: true,
    operationId: true,
    after: true,
    clientVersion: true,
    clientHash: true,
    clientId: true,
    onConflict: true,
    command: true,
    traceparent: true,
  }
  const batch: Batch = {
    type: true,
    graphId: true,
    batchId: true,
    after: true,
    atomic: true,
    ifMissing: true,
    operations: true,
    clientVersion: true,
    clientHash: true,
    clientId: true,
    onConflict: true,
    traceparent: true,
  }
  const driver = new Driver().live(1)
  driver.title('x', { onConflict: 'overwrite' })
  driver.title('y', { onConflict: 'overwrite' })
  driver.act({
    type: 'BATCH',
    ifMissing: 'skip',
    operations: [{ type: 'DELETE_NODE', payload: { nodeId: 'a' } }],
  })
  const [first, second, third] = driver.sent.map((frame) => Object.keys(frame))
  expect(first?.filter((field) => !(field in command))).toEqual([])
  expect(second).toContain('after')
  expect(second?.filter((field) => !(field in command))).toEqual([])
  expect(third?.filter((field) => !(field in batch))).toEqual([])
})
