/** Keys for undo, redo, copy and paste. In text fields the browser's own keys count. */
import { useReactFlow, useStoreApi } from '@xyflow/react'
import { useEffect } from 'react'
import { readClip } from './clipboard.ts'
import type { AnyStore } from './hooks.ts'

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

/** Ctrl+Z undoes, Ctrl+Shift+Z and Ctrl+Y redo; on a Mac with ⌘. */
export function UndoKeys({ flow: { store } }: { flow: { store: AnyStore } }): null {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || isTyping(event.target)) return
      const key = event.key.toLowerCase()
      const redo = key === 'y' || (key === 'z' && event.shiftKey)
      if (!redo && key !== 'z') return
      event.preventDefault()
      // What an undo left alone is told as its outcome; a refusal is told by `useRefusals`.
      ;(redo ? store.redo() : store.undo())?.catch(() => {})
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [store])
  return null
}

/** Ctrl+C, Ctrl+X and Ctrl+V for the selected nodes, by the system's clipboard. Pastes at the pointer. A child of `<ReactFlow>`. */
export function ClipboardKeys({ flow: { store } }: { flow: { store: AnyStore } }): null {
  const { screenToFlowPosition, deleteElements } = useReactFlow()
  const api = useStoreApi()
  useEffect(() => {
    let pointer: { x: number; y: number } | null = null
    const pane = api.getState().domNode
    const move = (event: PointerEvent): void => {
      pointer = { x: event.clientX, y: event.clientY }
    }
    const leave = (): void => {
      pointer = null
    }
    const copy = (event: ClipboardEvent): void => {
      const clip = isTyping(event.target) || getSelection()?.isCollapsed === false ? null : store.copy()
      if (clip === null) return
      event.preventDefault()
      event.clipboardData?.setData('text/plain', JSON.stringify(clip))
      if (event.type === 'cut') void deleteElements({ nodes: clip.nodes.map(({ id }) => ({ id })) })
    }
    const paste = (event: ClipboardEvent): void => {
      const clip = isTyping(event.target) ? null : readClip(event.clipboardData?.getData('text/plain') ?? '')
      if (clip === null) return
      event.preventDefault()
      store.paste(clip, pointer === null ? undefined : screenToFlowPosition(pointer))
    }
    pane?.addEventListener('pointermove', move)
    pane?.addEventListener('pointerleave', leave)
    document.addEventListener('copy', copy)
    document.addEventListener('cut', copy)
    document.addEventListener('paste', paste)
    return () => {
      pane?.removeEventListener('pointermove', move)
      pane?.removeEventListener('pointerleave', leave)
      document.removeEventListener('copy', copy)
      document.removeEventListener('cut', copy)
      document.removeEventListener('paste', paste)
    }
  }, [store, api, screenToFlowPosition, deleteElements])
  return null
}
