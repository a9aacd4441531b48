/** Loads the document, then saves the whole of it every two seconds. */
import { type Node, useReactFlow } from '@xyflow/react'
import { useEffect, useState } from 'react'
import { flushSync } from 'react-dom'
import { type FlowDocument, load, save } from './store.ts'

const SAVE_EVERY_MS = 2_000

/**
 * `state` is whether it is saved, in words; `tell` gets sentences about what was not. Nothing may be edited until it is
 * loaded: the document would replace it.
 */
export function useAutosave(tell: (sentences: string[]) => void): { state: string; isLoaded: boolean } {
  const [state, setState] = useState('Loading …')
  const [isLoaded, setLoaded] = useState(false)
  const flow = useReactFlow()
  useEffect(() => {
    // At once: an edit between this and the next frame would be made to the picture before.
    const show = ({ nodes, edges }: FlowDocument): void =>
      flushSync(() => {
        flow.setNodes(nodes.map((node) => ({ ...node, ...onlyHere(flow.getNode(node.id)) })))
        flow.setEdges(edges)
      })
    const saveAll = async (): Promise<void> => {
      const sent = flow.toObject()
      const isStill = (): boolean =>
        JSON.stringify(sent) === JSON.stringify(flow.toObject()) && !flow.getNodes().some(({ dragging }) => dragging)
      tell(await save(sent, isStill, show))
    }
    let isOpen = true
    const run = async (): Promise<void> => {
      for (let isThere = false; isOpen; await new Promise((resolve) => setTimeout(resolve, SAVE_EVERY_MS))) {
        try {
          if (isThere) await saveAll()
          else show(await load())
          isThere = true
          setLoaded(true)
          setState('Saved')
        } catch (error) {
          setState(`Not saved: ${error instanceof Error ? error.message : error}`)
        }
      }
    }
    void run()
    return () => {
      isOpen = false
    }
  }, [flow, tell])
  return { state, isLoaded }
}

/** What belongs to this window. It is not in documents. */
const onlyHere = ({ selected = false, measured = {} }: Partial<Node> = {}): Partial<Node> => ({ selected, measured })
