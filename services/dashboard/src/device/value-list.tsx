import type {ReactNode} from 'react';
import {jsonText} from '../text/json-text.ts';

const shown = (value: unknown): string => (typeof value === 'string' ? value : jsonText(value));

/** A device's own JSON, which may be anything: flat fields as a list, what is nested as JSON text. */
export const ValueList = ({values}: {readonly values: Readonly<Record<string, unknown>>}): ReactNode => (
  <dl className="facts">
    {Object.entries(values).map(([name, value]) => (
      <div key={name} className="facts-row">
        <dt className="mono">{name}</dt>
        <dd className="mono wrap">{shown(value)}</dd>
      </div>
    ))}
  </dl>
);
