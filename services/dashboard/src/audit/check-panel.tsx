import {useMutation} from '@tanstack/react-query';
import {type SubmitEvent, type ReactNode, useEffect, useRef, useState} from 'react';
import {useApi} from '../api/api-context.ts';
import {checkAudit, type CheckResult} from './check-audit.ts';

const integer = new Intl.NumberFormat();

/** Looks whether somebody has changed the audit by hand, and says so in words. */
export const CheckPanel = (): ReactNode => {
  const api = useApi();
  const [checked, setChecked] = useState(0);
  const left = useRef<AbortController>(undefined);
  useEffect(() => () => left.current?.abort(), []);
  const check = useMutation({
    mutationFn: (head: string | undefined) => {
      setChecked(0);
      const stop = new AbortController();
      left.current = stop;
      return checkAudit((cursor) => api.verifyAudit({cursor, head}, stop.signal), setChecked);
    },
  });
  const begin = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const head = new FormData(event.currentTarget).get('head');
    if (!check.isPending) check.mutate(typeof head === 'string' && head.trim() !== '' ? head.trim() : undefined);
  };
  return (
    <section className="panel audit">
      <h2>Is it whole?</h2>
      <p className="faint">
        Each entry is signed together with the one before it. The check finds entries that were changed, cut off or
        removed by hand.
      </p>
      <form className="token-form" onSubmit={begin}>
        <label className="audit-head">
          Head from the keeper’s log
          <input
            type="text"
            name="head"
            className="mono"
            pattern="\s*\d{1,15}:[0-9a-f]{64}\s*"
            title="A number, a colon and 64 hexadecimal digits"
            placeholder="not needed"
            spellCheck={false}
            autoComplete="off"
          />
        </label>
        <button type="submit" className="button" aria-disabled={check.isPending}>
          {check.isPending ? 'Checking…' : 'Check the audit'}
        </button>
      </form>
      <div role="status" data-testid="audit-check-result">
        {check.isPending && checked > 0 ? <p className="faint">{integer.format(checked)} entries so far.</p> : null}
        {check.data === undefined ? null : <Result result={check.data} />}
      </div>
      {check.isError ? (
        <p className="field-error" role="alert">
          The check did not come to its end: <bdi>{check.error.message}</bdi>
        </p>
      ) : null}
    </section>
  );
};

const entries = (count: number): string => `${integer.format(count)} ${count === 1 ? 'entry' : 'entries'}`;

const Result = ({result: {checked, pending, findings, more, unchecked}}: {readonly result: CheckResult}): ReactNode => (
  <>
    {findings.length === 0 ? (
      <p>
        <strong className="tone-on_time">It is whole.</strong> {entries(checked)} of the chain{' '}
        {checked === 1 ? 'is' : 'are'} as signed, and{' '}
        {pending === 0 ? 'none waits' : `${entries(pending)} ${pending === 1 ? 'waits' : 'wait'}`} to be chained.
      </p>
    ) : (
      <>
        <p>
          <strong className="tone-failing">It is not whole.</strong> {entries(checked)} were checked:
        </p>
        <ul className="audit-findings">
          {findings.map(({detail}) => (
            <li key={detail}>{detail}</li>
          ))}
          {more ? <li>There is more than is shown here.</li> : null}
        </ul>
        <p className="faint">The runbook says what to do: “The audit is not whole”.</p>
      </>
    )}
    {unchecked.length === 0 ? null : (
      <p className="notice">
        <strong>Incomplete.</strong> {unchecked.join(', ')} did not say what was written there; check again when{' '}
        {unchecked.length === 1 ? 'it answers' : 'they answer'}.
      </p>
    )}
  </>
);
