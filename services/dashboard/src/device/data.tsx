import type {ReactNode} from 'react';
import {jsonText} from '../text/json-text.ts';

/** Longer text than this is folded: it would be cut off at the end of its cell. */
const FOLDED_FROM = 60;

/** What a device sent, as JSON: one line where it fits, else a line that unfolds. */
export const Data = ({value}: {readonly value: unknown}): ReactNode => {
  const text = jsonText(value);
  if (text.length < FOLDED_FROM) return <code>{text}</code>;
  return (
    <details className="data">
      <summary>
        <code>{text}</code>
      </summary>
      <pre>{jsonText(value, 2)}</pre>
    </details>
  );
};
