import type {FocusEvent, KeyboardEvent, ReactNode} from 'react';

/** Choices behind a button. They close when the focus leaves them, and by Escape. */
export const Menu = ({
  title,
  legend,
  children,
}: {
  /** Of the button. */
  readonly title: string;
  /** What the choices are, for who does not see the button above them. */
  readonly legend: string;
  readonly children: ReactNode;
}): ReactNode => {
  const closeWhenLeft = ({currentTarget, relatedTarget}: FocusEvent<HTMLDetailsElement>): void => {
    if (relatedTarget !== null && !currentTarget.contains(relatedTarget)) currentTarget.open = false;
  };
  const closeOnEscape = ({key, currentTarget}: KeyboardEvent<HTMLDetailsElement>): void => {
    if (key !== 'Escape' || !currentTarget.open) return;
    currentTarget.open = false;
    currentTarget.querySelector('summary')?.focus();
  };
  return (
    <details className="menu" onBlur={closeWhenLeft} onKeyDown={closeOnEscape}>
      <summary className="button button-quiet">{title}</summary>
      {/* Focusable, so that a click between the boxes stays inside. */}
      <fieldset className="menu-body" tabIndex={-1}>
        <legend className="visually-hidden">{legend}</legend>
        {children}
      </fieldset>
    </details>
  );
};
