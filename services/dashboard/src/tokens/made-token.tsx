import {type ReactNode, useEffect, useMemo, useRef} from 'react';
import type {MadeToken} from '../api/types.ts';
import {CopyField} from './copy-field.tsx';
import {qrPath} from './qr-path.ts';

/** A token that was just made, for the only time. */
export const MadeTokenView = ({made, done}: {readonly made: MadeToken; readonly done: () => void}): ReactNode => {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <div className="made-token" data-testid="made-token">
      <h3 ref={heading} tabIndex={-1}>
        Copy it now: it is not shown again
      </h3>
      <CopyField label="Token" text={made.token} />
      {made.command === undefined ? null : made.command === null ? (
        <p className="faint">
          This region has no host for devices (<code>spec.ingress.host</code>), so there is no command to give you.
        </p>
      ) : (
        <>
          <CopyField label="Command for a Raspberry Pi" text={made.command} />
          <p className="faint">
            Paste it into the Pi’s shell. It needs Node 24 and the agent in <code>/opt/pisync</code>. The code below is
            the same text.
          </p>
          <QrCode text={made.command} label="QR code of the command" />
        </>
      )}
      <button type="button" className="button button-primary" onClick={done}>
        Done
      </button>
    </div>
  );
};

/** Dark on white in both themes: few readers take it the other way round. */
const QrCode = ({text, label}: {readonly text: string; readonly label: string}): ReactNode => {
  const {size, path} = useMemo(() => qrPath(text), [text]);
  return (
    <svg className="qr-code" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
};
