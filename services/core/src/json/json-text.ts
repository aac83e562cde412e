/**
 * JSON of a device as the database writes it, on its way into an answer. It is parsed when the answer is written, each for itself: parsed it may be
 * forty times as large, and an answer has hundreds of them.
 */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** For JSON.stringify. */
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}
