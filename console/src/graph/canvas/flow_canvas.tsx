/**
 * The canvas: React Flow with the graph's own positions, and below {@link OVERVIEW_ZOOM} one <canvas> (K5). It only shows;
 * who may edit passes `edit`.
 */
import type { GraphEdge, GraphNode } from '@dao-api/client'
import {
  Background,
  BackgroundVariant,
  Controls,
  type Edge,
  type OnNodesChange,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  useStore,
} from '@xyflow/react'
import '@xyflow/react/dist/base.css'
import { type MouseEvent, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { Mark } from '../compare.ts'
import { useColors } from './colors.ts'
import { draw, type Picture } from './draw.ts'
import { edgeElement, nodeElement, type PlainNodeType } from './elements.ts'
import { boundsOf, boxAt, boxesOf, parentOf, type Rect, runsAcross, viewOf, ZOOM_MAX, ZOOM_MIN } from './geometry.ts'
import { MiniMap } from './minimap.tsx'
import { Painted } from './painted.tsx'
import { PlainNode } from './plain_node.tsx'

/** Below it nodes can't be read, and one canvas draws all of them. */
const OVERVIEW_ZOOM = 0.35
const NODE_TYPES = { plain: PlainNode }
const NO_NODES: PlainNodeType[] = []
const NO_EDGES: Edge[] = []
const NO_MARKS: ReadonlyMap<string, Mark> = new Map()

export interface Chosen {
  readonly kind: 'node' | 'edge'
  readonly id: string
}

interface CanvasProps {
  nodes: readonly GraphNode[]
  edges: readonly GraphEdge[]
  nodeMarks?: ReadonlyMap<string, Mark>
  edgeMarks?: ReadonlyMap<string, Mark>
  chosen: Chosen | null
  onChoose: (chosen: Chosen | null) => void
  /** The view fits the graph when this changes; moving through time keeps it. */
  fitKey: string
  edit?: { onNodesChange: OnNodesChange } | undefined
  label: string
  children?: ReactNode
}

export function FlowCanvas(props: CanvasProps) {
  return (
    <ReactFlowProvider>
      <Inner {...props} />
    </ReactFlowProvider>
  )
}

function Inner(props: CanvasProps) {
  const { nodes, edges, nodeMarks = NO_MARKS, edgeMarks = NO_MARKS, chosen, onChoose, fitKey, edit, label } = props
  const [element, setElement] = useState<HTMLElement | null>(null)
  const colors = useColors(element)
  const isFar = useStore((state) => state.transform[2] < OVERVIEW_ZOOM)
  const boxes = useMemo(() => boxesOf(nodes), [nodes])
  const isAcross = useMemo(() => runsAcross(edges, boxes), [edges, boxes])
  const isEditable = edit !== undefined
  // Before the view is known, React Flow would mount every node.
  const { isFitted, fit } = useFit(boxes, fitKey)
  const isOverview = isFitted && isFar
  const hasElements = isFitted && !isFar
  const chosenNode = chosen?.kind === 'node' ? chosen.id : null
  const chosenEdge = chosen?.kind === 'edge' ? chosen.id : null
  const flowNodes = useMemo(() => {
    if (!hasElements) return NO_NODES
    return nodes.map((node) => {
      const box = boxes.get(node.id)!
      const look = { mark: nodeMarks.get(node.id) ?? null, isChosen: node.id === chosenNode, isAcross, isEditable, box }
      return nodeElement(node, look, boxes.has(parentOf(node) ?? ''))
    })
  }, [hasElements, nodes, boxes, nodeMarks, chosenNode, isAcross, isEditable])
  const flowEdges = useMemo(() => {
    if (!hasElements) return NO_EDGES
    const drawn = edges.filter(({ source, target }) => boxes.has(source) && boxes.has(target))
    return drawn.map((edge) => edgeElement(edge, edgeMarks.get(edge.id) ?? null, edge.id === chosenEdge))
  }, [hasElements, edges, boxes, edgeMarks, chosenEdge])
  const picture: Picture = useMemo(
    () => ({ boxes, edges, nodeMarks, edgeMarks, selected: chosenNode ?? chosenEdge }),
    [boxes, edges, nodeMarks, edgeMarks, chosenNode, chosenEdge],
  )
  useReveal(chosenNode, boxes)
  const onNodesChange: OnNodesChange = useCallback(
    (changes) => edit?.onNodesChange(changes.filter(({ type }) => type === 'position' || type === 'select')),
    [edit],
  )
  return (
    <section className={`gp-canvas ${isOverview ? 'gp-is-overview' : ''}`} ref={setElement} aria-label={label}>
      <ReactFlow
        nodes={flowNodes}
        edges={flowEdges}
        nodeTypes={NODE_TYPES}
        minZoom={ZOOM_MIN}
        maxZoom={ZOOM_MAX}
        onlyRenderVisibleElements
        nodesConnectable={false}
        nodesDraggable={isEditable}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={isEditable}
        disableKeyboardA11y
        deleteKeyCode={null}
        selectionKeyCode={null}
        multiSelectionKeyCode={null}
        zoomOnDoubleClick={false}
        onMoveStart={() => element?.classList.add('gp-is-moving')}
        onMoveEnd={() => element?.classList.remove('gp-is-moving')}
        {...(isEditable ? { onNodesChange } : {})}
        onNodeClick={(_, { id }) => onChoose({ kind: 'node', id })}
        onEdgeClick={(_, { id }) => onChoose({ kind: 'edge', id })}
        onPaneClick={isOverview ? noop : () => onChoose(null)}
      >
        <Background variant={BackgroundVariant.Dots} gap={20} size={1} />
        <Controls showInteractive={false} onFitView={fit} />
        {props.children}
      </ReactFlow>
      {isOverview && <Overview picture={picture} colors={colors} />}
      {isOverview && <OverviewClicks boxes={boxes} onChoose={onChoose} element={element} />}
      {nodes.length === 0 && <p className="gp-empty quiet">Nothing is in the graph here.</p>}
      <MiniMap picture={picture} colors={colors} />
    </section>
  )
}

const noop = (): void => undefined

function Overview({ picture, colors }: { picture: Picture; colors: ReturnType<typeof useColors> }) {
  const [x, y, zoom] = useStore((state) => state.transform)
  const paint = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) => {
      if (colors !== null) draw(context, picture, colors, { x, y, zoom }, width, height)
    },
    [picture, colors, x, y, zoom],
  )
  return <Painted paint={paint} className="gp-overview" />
}

/** A click that did not drag chooses the box below it. */
function OverviewClicks({
  boxes,
  onChoose,
  element,
}: {
  boxes: ReturnType<typeof boxesOf>
  onChoose: CanvasProps['onChoose']
  element: HTMLElement | null
}) {
  const { screenToFlowPosition, getZoom } = useReactFlow()
  const latest = useRef({ boxes, onChoose })
  latest.current = { boxes, onChoose }
  useEffect(() => {
    const pane = element?.querySelector('.react-flow__pane')
    if (!pane) return
    const click = (event: Event): void => {
      const { clientX, clientY } = event as unknown as MouseEvent
      const at = screenToFlowPosition({ x: clientX, y: clientY })
      const box = boxAt(latest.current.boxes, at.x, at.y, 3 / getZoom())
      latest.current.onChoose(box === null ? null : { kind: 'node', id: box.id })
    }
    pane.addEventListener('click', click)
    return () => pane.removeEventListener('click', click)
  }, [element, screenToFlowPosition, getZoom])
  return null
}

/**
 * Shows all of it once it and the size of the canvas are known, and whenever it is asked for: React Flow itself knows no
 * nodes in the overview.
 */
function useFit(boxes: ReadonlyMap<string, Rect>, key: string): { isFitted: boolean; fit: () => void } {
  const { setViewport } = useReactFlow()
  const width = useStore((state) => state.width)
  const height = useStore((state) => state.height)
  const done = useRef<string | null>(null)
  const [isFitted, setFitted] = useState(false)
  useEffect(() => {
    if (done.current === key || width === 0 || height === 0 || boxes.size === 0) return
    done.current = key
    void setViewport(viewOf(boundsOf(boxes.values()), width, height)).then(() => setFitted(true))
  }, [boxes, key, width, height, setViewport])
  const fit = useCallback(() => {
    void setViewport(viewOf(boundsOf(boxes.values()), width, height))
  }, [boxes, width, height, setViewport])
  return { isFitted, fit }
}

/** Brings what was chosen elsewhere into view, if it is not. */
function useReveal(id: string | null, boxes: ReadonlyMap<string, Rect>): void {
  const { setCenter, getViewport } = useReactFlow()
  const width = useStore((state) => state.width)
  const height = useStore((state) => state.height)
  const latest = useRef(boxes)
  latest.current = boxes
  useEffect(() => {
    const box = id === null ? undefined : latest.current.get(id)
    if (box === undefined || width === 0) return
    const { x, y, zoom } = getViewport()
    const [left, top] = [box.x * zoom + x, box.y * zoom + y]
    const isSeen = left >= 0 && top >= 0 && left + box.width * zoom <= width && top + box.height * zoom <= height
    if (!isSeen) void setCenter(box.x + box.width / 2, box.y + box.height / 2, { zoom: Math.max(zoom, 0.6) })
  }, [id, width, height, setCenter, getViewport])
}
