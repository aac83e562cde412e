/** What a worker applies: batches as they came through the broker, parsed as far as the database needs them. */

/** Which batch: the unit of idempotency. */
export interface BatchKey {
  readonly deviceId: string;
  readonly deviceKey: number;
  readonly slot: number;
  readonly epoch: number;
  readonly batchSeq: number;
}

export interface ParsedRecord {
  /** Its place among the records of the body, from 0. */
  readonly ordinal: number;
  readonly seq: number;
  readonly kind: string;
  /** Milliseconds by the device's clock. */
  readonly timeMs: number | undefined;
  /** Whether it said a time that cannot be one. */
  readonly badTime: boolean;
  /** JSON text, or undefined when the record has no data. */
  readonly data: string | undefined;
}

/** Something inside a batch that cannot be stored and goes to quarantine while the rest is applied. */
export interface BadPart {
  /** JSON pointer into the request's body. */
  readonly pointer: string;
  readonly reason: string;
  readonly payload: Buffer;
}

/** A batch whose body was not read yet. Read, it may take ten times the memory, so it is read when it is applied. */
export interface UnreadBatch extends BatchKey {
  /** sha256 of the content. */
  readonly contentHash: Buffer;
  readonly receivedAtMs: number;
  /** The UTC day of the first acceptance, `YYYY-MM-DD`. */
  readonly receivedDay: string;
  readonly mode: string;
  readonly reason: string | undefined;
  /** The request's body as it was received. */
  readonly payload: Buffer;
}

export interface Batch extends UnreadBatch {
  readonly content: Content;
}

/** `rejected`: nothing of it can be applied, now or later; its receipt says so and the payload is kept in quarantine. */
export type Content =
  | {
      readonly kind: 'good';
      /** JSON text; undefined when the batch brought none. */
      readonly state: string | undefined;
      readonly records: readonly ParsedRecord[];
      readonly bad: readonly BadPart[];
      /** Commands that it answers, by their ids. */
      readonly cmdAcks: readonly string[];
    }
  | {readonly kind: 'rejected'; readonly reason: string};

/** Order in which every writer touches rows, so that two can never wait for each other. */
export const compareBatches = (a: BatchKey, b: BatchKey): number =>
  a.deviceKey - b.deviceKey || a.epoch - b.epoch || a.batchSeq - b.batchSeq;

export const recordCount = ({content}: Batch): number => (content.kind === 'good' ? content.records.length : 0);
