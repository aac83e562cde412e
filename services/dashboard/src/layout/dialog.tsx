import {type ReactNode, useLayoutEffect, useRef} from 'react';

interface DialogProps {
  readonly className?: string;
  readonly 'aria-label'?: string;
  readonly 'aria-labelledby'?: string;
  /** It cannot be left now. */
  readonly stays: boolean;
  /** It was left by the keyboard. */
  readonly leave?: () => void;
  readonly children: ReactNode;
}

/** Over the page and over dialogs that came before, all of which are out of reach as long as it is there. Who had the focus has it again after that. */
export const Dialog = ({stays, leave, children, className = 'question', ...named}: DialogProps): ReactNode => {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      {...named}
      ref={dialog}
      className={className}
      closedby={stays ? 'none' : 'closerequest'}
      onClose={({currentTarget}) => {
        if (!currentTarget.isConnected || currentTarget.open) return;
        // Older browsers do not know closedby.
        if (stays) currentTarget.showModal();
        else leave?.();
      }}
    >
      {children}
    </dialog>
  );
};
