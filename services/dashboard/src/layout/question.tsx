import {useMutation} from '@tanstack/react-query';
import {type ReactNode, useId, useState} from 'react';
import {flushSync} from 'react-dom';
import {Dialog} from './dialog.tsx';

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
  const {action, label} = props;
  const [isAsked, setIsAsked] = useState(false);
  return (
    <>
      <button type="button" className="button" aria-label={label} onClick={() => setIsAsked(true)}>
        {action}
      </button>
      {isAsked ? <Asked {...props} leave={() => setIsAsked(false)} /> : null}
    </>
  );
};

/** The question. Once it is answered with yes, it stays until it is known what came of it. */
const Asked = <Answer,>(props: QuestionProps<Answer> & {readonly leave: () => void}): ReactNode => {
  const {title, children, no, yes, doing, act, onDone, leave} = props;
  const titleId = useId();
  const deed = useMutation({
    mutationFn: act,
    onSuccess: (answer) => {
      // What comes then may have the focus.
      flushSync(leave);
      onDone(answer);
    },
  });
  return (
    <Dialog aria-labelledby={titleId} stays={deed.isPending} leave={leave}>
      <h2 id={titleId}>{title}</h2>
      <p>{children}</p>
      {deed.isError ? (
        <p className="field-error" role="alert">
          {deed.error.message}
        </p>
      ) : null}
      <div className="question-answers">
        <button
          type="button"
          className="button"
          aria-disabled={deed.isPending}
          onClick={() => {
            if (!deed.isPending) leave();
          }}
        >
          {no}
        </button>
        <button
          type="button"
          className="button button-primary"
          aria-disabled={deed.isPending}
          onClick={() => {
            if (!deed.isPending) deed.mutate();
          }}
        >
          {deed.isPending ? doing : yes}
        </button>
      </div>
    </Dialog>
  );
};
