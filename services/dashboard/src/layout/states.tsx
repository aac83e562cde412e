import type {ReactNode} from 'react';
import {ApiError, isFinal} from '../api/client.ts';
import {Ago} from '../time/time.tsx';

/** The four states besides "here is the data" that every view has: loading, empty, error, partial. */

/** A view that has none of its own content yet: it has a heading all the same, for who goes by headings. */
export const Untitled = ({title, children}: {readonly title: string; readonly children: ReactNode}): ReactNode => (
  <>
    <h1 className="visually-hidden">{title}</h1>
    {children}
  </>
);

export const Loading = ({what}: {readonly what: string}): ReactNode => (
  <p className="state" role="status">
    <span className="spinner" aria-hidden="true" />
    Loading {what}…
  </p>
);

export const Empty = ({title, children}: {readonly title: string; readonly children?: ReactNode}): ReactNode => (
  <div className="state state-empty">
    <p className="state-title">{title}</p>
    {children === undefined ? null : <p>{children}</p>}
  </div>
);

export const Failed = ({
  what,
  error,
  retry,
}: {
  readonly what: string;
  readonly error: Error;
  readonly retry?: () => void;
}): ReactNode => (
  <div className="state state-failed" role="alert">
    <p className="state-title">
      {error instanceof ApiError && error.status === 404 ? `There is no such ${what}` : `Cannot show the ${what}`}
    </p>
    <p>
      <bdi>{error.message}</bdi>
      {isFinal(error) ? null : ' The page tries again by itself.'}
    </p>
    {retry === undefined ? null : (
      <button type="button" className="button" onClick={retry}>
        Try again
      </button>
    )}
  </div>
);

/** How old what is shown is. Only what is wrong is announced to a screen reader, not each tick of the clock. */
export const AsOf = ({at, stale}: {readonly at: string; readonly stale: boolean}): ReactNode => (
  <p className="faint">
    As of <Ago at={at} />
    <span role="status">{stale ? ' – it cannot be read again now, this is what the server said last' : null}</span>
  </p>
);

/** Numbers and rows below are true, but some shards are missing from them. @param askAgain is done by the page itself, too */
export const PartialNotice = ({
  shards,
  askAgain,
}: {
  readonly shards: readonly string[] | undefined;
  readonly askAgain?: (() => void) | undefined;
}): ReactNode =>
  shards === undefined || shards.length === 0 ? null : (
    <p className="notice" role="status">
      <strong>Incomplete.</strong> {shards.join(', ')} did not answer in time; {shards.length === 1 ? 'its' : 'their'}{' '}
      devices are missing here.{' '}
      {askAgain === undefined ? null : (
        <>
          The page tries again by itself.{' '}
          <button type="button" className="button" onClick={askAgain}>
            Try again
          </button>
        </>
      )}
    </p>
  );

/** Nothing came, and some shards did not answer: that is not the same as that there is nothing. */
export const NotKnown = ({
  title,
  shards,
  askAgain,
}: {
  readonly title: string;
  readonly shards: readonly string[];
  readonly askAgain: () => void;
}): ReactNode => (
  <div className="state state-failed" role="alert">
    <p className="state-title">{title}</p>
    <p>{shards.join(', ')} did not answer in time. The page tries again by itself.</p>
    <button type="button" className="button" onClick={askAgain}>
      Try again
    </button>
  </div>
);
