/** One tab of a browser: a machine, what the device holds of it, and a connection. */

import type { GraphSnapshot } from '../../src/api.ts'
import { GraphMachine } from '../../src/machine/graph_machine.ts'
import { provideUndo } from '../../src/machine/predict.ts'
import { decideUndo } from '../../src/model/index.ts'
import type { Frame, Session } from '../../src/testing/server.ts'
import { Disk } from './disk.ts'

provideUndo(decideUndo)

/** A write of this tab that its picture has to show (rules M10, A6). */
export interface Expected {
  readonly operationId: string
  readonly nodeId: string
  readonly field: string
  readonly value: string
}

export class Tab {
  readonly userId: string
  clientId: string
  machine: GraphMachine
  /** What is on the device now, and what will be once all transactions that are begun are there. */
  disk: Disk = new Disk()
  diskAfter: Disk = new Disk()
  session: Session | null = null
  /** Frames on the way to the server. */
  readonly up: Frame[] = []
  picture: GraphSnapshot
  /** When each value was shown first, by number of the step. */
  readonly seen: Map<string, number> = new Map()
  readonly expected: Map<string, Expected> = new Map()
  /** Operations that this life of the tab told the outcome of. */
  readonly toldNow: Set<string> = new Set()
  /** Operations that were made here and not told of. */
  readonly open: Set<string> = new Set()
  /** Whether a life of the tab begins with knowing how undo is predicted. */
  private readonly knowsUndo: boolean

  constructor(userId: string, clientId: string, knowsUndo: boolean) {
    this.userId = userId
    this.clientId = clientId
    this.knowsUndo = knowsUndo
    this.machine = this.newMachine()
    this.picture = this.machine.picture()
  }

  private newMachine(): GraphMachine {
    const machine = new GraphMachine({ graphId: 'g', clientId: this.clientId, isKept: true })
    if (this.knowsUndo) machine.step({ type: 'learned' }, 0)
    return machine
  }

  /** The program ends without notice: what is in memory is gone, and transactions that are not there. */
  kill(flushed: number): void {
    this.disk.flush(flushed)
    this.disk.begun.length = 0
    this.diskAfter = this.disk.copy()
    this.machine = this.newMachine()
    this.picture = this.machine.picture()
    this.toldNow.clear()
    this.up.length = 0
  }
}
