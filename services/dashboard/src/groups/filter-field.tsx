import {type ReactNode, useId} from 'react';
import {ApiError} from '../api/client.ts';

/** What the server found wrong with the filter that was sent; undefined where that is something else. */
export const filterFaultIn = (
  error: Error | null,
): {readonly detail: string; readonly character?: number} | undefined =>
  error instanceof ApiError ? error.faults.find(({pointer}) => pointer === '/filter') : undefined;

/** The filter of a dynamic group, and what is wrong with it. */
export const FilterField = ({
  filter,
  change,
  sent,
  error,
}: {
  readonly filter: string;
  readonly change: (filter: string) => void;
  /** The filter that the error is of. */
  readonly sent: string;
  readonly error: Error | null;
}): ReactNode => {
  const faultId = useId();
  const fault = filterFaultIn(error);
  return (
    <div className="filter-field">
      <label>
        Filter
        <input
          type="text"
          className="mono"
          required
          maxLength={2000}
          placeholder="status==late;tags.site=in=(oak,elm)"
          spellCheck={false}
          autoCapitalize="off"
          value={filter}
          aria-invalid={fault !== undefined}
          aria-describedby={fault === undefined ? undefined : faultId}
          onChange={(event) => change(event.target.value)}
        />
      </label>
      {fault === undefined ? null : (
        <div id={faultId} className="filter-fault" role="alert">
          {fault.character === undefined ? null : <At text={sent} character={fault.character} />}
          <p className="field-error">
            <bdi>
              {fault.character === undefined ? 'It' : `At character ${fault.character} it`} {fault.detail}.
            </bdi>
          </p>
        </div>
      )}
    </div>
  );
};

/** A text with one of its characters marked, or its end. */
const At = ({text, character}: {readonly text: string; readonly character: number}): ReactNode => (
  <p className="mono wrap">
    {text.slice(0, character - 1)}
    <mark>{character > text.length ? 'end' : text.charAt(character - 1)}</mark>
    {text.slice(character)}
  </p>
);
