/** Reads a React Flow document from a file. What belongs to one screen is left out (DS5). */
import { bytes, counted } from '../shared/format.ts'
import { isObject } from '../shared/is_object.ts'

export interface FlowDocument {
  nodes: object[]
  edges: object[]
  viewport?: object
}

export interface FlowFile {
  /** Absent: the file can't be used, and `told` says why. */
  document?: FlowDocument
  told: string
}

const MOST_BYTES = 8 * 1024 * 1024
const SCREEN = new Set(['selected', 'dragging', 'resizing', 'measured', 'positionAbsolute'])

export async function readFlow(file: File): Promise<FlowFile> {
  if (file.size > MOST_BYTES)
    return { told: `The file has ${bytes(file.size)}. Use \`dao-api import\` for more than ${bytes(MOST_BYTES)}.` }
  try {
    return flowOf(await file.text())
  } catch {
    return { told: "The browser can't read the file. Choose it again." }
  }
}

/** Exported for tests. */
export function flowOf(text: string): FlowFile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { told: 'The file is not valid JSON.' }
  }
  const { nodes, edges, viewport } = isObject(value) ? value : {}
  if (!Array.isArray(nodes) || !nodes.every(isObject))
    return { told: 'The file has no list of nodes. Other formats: `dao-api import`.' }
  const lines = Array.isArray(edges) ? edges.filter(isObject) : []
  const document: FlowDocument = { nodes: nodes.map(shared), edges: lines.map(shared) }
  if (isObject(viewport)) document.viewport = viewport
  return { document, told: `${counted(nodes.length, 'node')} and ${counted(lines.length, 'edge')}.` }
}

const shared = (entity: Record<string, unknown>): object =>
  Object.fromEntries(Object.entries(entity).filter(([key]) => !SCREEN.has(key)))
