/** A fault of one page is told in its place; the navigation stays. */
import { Component, type ReactNode } from 'react'
import { Empty } from './ui.tsx'

interface Props {
  /** Another page: the fault of the one before is forgotten. */
  page: string
  children: ReactNode
}

interface State {
  fault: unknown
  page: string
}

export class Boundary extends Component<Props, State> {
  override state: State = { fault: undefined, page: this.props.page }

  static getDerivedStateFromError(fault: unknown): Partial<State> {
    return { fault }
  }

  static getDerivedStateFromProps(props: Props, state: State): Partial<State> | null {
    return props.page === state.page ? null : { page: props.page, fault: undefined }
  }

  override render(): ReactNode {
    const { fault } = this.state
    if (fault === undefined) return this.props.children
    return (
      <main className="page">
        <h1 className="hidden">A fault of the console</h1>
        <Empty title="This page has failed">
          <p>That is a fault of the console, not of your data. Nothing was written.</p>
          <p>
            <code>{String(fault)}</code>
          </p>
          <p>
            <button type="button" onClick={() => this.setState({ fault: undefined })}>
              Try again
            </button>{' '}
            <button type="button" onClick={() => location.reload()}>
              Reload the console
            </button>
          </p>
        </Empty>
      </main>
    )
  }
}
