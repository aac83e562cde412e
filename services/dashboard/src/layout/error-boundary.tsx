import {Component, type ReactNode} from 'react';

interface Props {
  readonly children: ReactNode;
}

/** What a fault of the page itself leaves on the screen; without it React takes everything away. The console has the details. */
export class ErrorBoundary extends Component<Props, {readonly error: unknown}> {
  override state: {readonly error: unknown} = {error: undefined};

  static getDerivedStateFromError(error: unknown): {readonly error: unknown} {
    return {error: error ?? 'unknown'};
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div className="state state-failed" role="alert">
        <h1 className="state-title">This page has a fault</h1>
        <p>It could not be drawn; the region is not touched by that. Load it again, or go on from the summary.</p>
        <p>
          <a className="button" href={window.location.href}>
            Load again
          </a>{' '}
          <a className="button" href="/">
            Summary
          </a>
        </p>
      </div>
    );
  }
}
