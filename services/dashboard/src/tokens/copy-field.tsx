import {type ReactNode, useId, useRef, useState} from 'react';

/** A text that is to be taken elsewhere. */
export const CopyField = ({label, text}: {readonly label: string; readonly text: string}): ReactNode => {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const [said, say] = useState('');
  const copy = (): void => {
    field.current?.select();
    // Browsers give the clipboard to pages that came over TLS, and to those alone whose person lets them.
    const written = 'clipboard' in navigator ? navigator.clipboard.writeText(text) : Promise.reject(new Error('none'));
    written.then(
      () => say('Copied.'),
      () => say('It is selected: copy it with Ctrl+C.'),
    );
  };
  return (
    <div className="copy-field">
      <label htmlFor={id}>{label}</label>
      <textarea id={id} ref={field} readOnly rows={Math.ceil(text.length / 90)} value={text} spellCheck={false} />
      <button type="button" className="button" onClick={copy} aria-label={`Copy: ${label}`}>
        Copy
      </button>
      <span role="status" className="faint">
        {said}
      </span>
    </div>
  );
};
