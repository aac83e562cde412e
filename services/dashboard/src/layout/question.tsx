import {useMutation} from '@tanstack/react-query';
import {type ReactNode, useId, useRef} from 'react';

interface QuestionProps<Answer> {
  /** On the button. */
  readonly action: string;
  /** What the button does, where its text alone does not say to what. */
  readonly label?: string;
  readonly title: string;
  /** What will be when the answer is yes. */
  readonly children: ReactNode;
  readonly no: string;
  readonly yes: string;
  /** In place of `yes` while it is done. */
  readonly doing: string;
  readonly act: () => Promise<Answer>;
  /** The dialog is closed by then. */
  readonly onDone: (answer: Answer) => void;
}

/** A button that asks before it does something. */
export const Question = <Answer,>(props: QuestionProps<Answer>): ReactNode => {
  const {action, label, title, children, no, yes, doing, act, onDone} = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const deed = useMutation({
    mutationFn: act,
    onSuccess: (answer) => {
      dialog.current?.close();
      onDone(answer);
    },
  });
  return (
    <>
      <button
        type="button"
        className="button"
        aria-label={label}
        onClick={() => {
          deed.reset();
          dialog.current?.showModal();
        }}
      >
        {action}
      </button>
      <dialog ref={dialog} className="question" aria-labelledby={titleId}>
        <h2 id={titleId}>{title}</h2>
        <p>{children}</p>
        {deed.isError ? (
          <p className="field-error" role="alert">
            {deed.error.message}
          </p>
        ) : null}
        <div className="question-answers">
          <button type="button" className="button" autoFocus onClick={() => dialog.current?.close()}>
            {no}
          </button>
          <button
            type="button"
            className="button button-primary"
            disabled={deed.isPending}
            onClick={() => deed.mutate()}
          >
            {deed.isPending ? doing : yes}
          </button>
        </div>
      </dialog>
    </>
  );
};
