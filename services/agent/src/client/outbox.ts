/**
 * What a device still has to say: readings that wait, and numbered batches that the region has not yet applied. Deterministic and without I/O: it changes only
 * by {@link OutboxEntry}, so a journal of entries replays to the same outbox after a power cut.
 *
 * A number is never used for two contents: a batch is sealed (numbers given, content fixed, journal synced) before it is first sent.
 */
import type {DeviceRecord, JsonObject, Reading, Reason} from './wire.ts';

export interface Batch {
  readonly epoch: string;
  readonly batchSeq: number;
  readonly mode: 'delta' | 'full';
  readonly reason: Reason;
  readonly state: JsonObject | undefined;
  readonly records: readonly DeviceRecord[];
  /** A 2xx was seen, or the way lets it through no more and it may have been taken. The batch is kept until it is known as applied. */
  readonly accepted: boolean;
  /** Answers since then that did not say that it is applied: scheduled ones, and the first after a start. */
  readonly waits?: number | undefined;
  /** Of a batch that had no 2xx and waits as accepted because the way lets it through no more: for how long no copy of it was sent, as far as that was measured. */
  readonly barredMs?: number | undefined;
  /** Its epoch has a gap that nobody can fill, so it is never called applied: it goes when it is accepted. */
  readonly once?: true;
}

/** Somebody has said that it is taken. */
export const hadSuccess = ({accepted, barredMs}: Batch): boolean => accepted && barredMs === undefined;

/** Commands that are remembered as done. The region lists ten at a time, and one of a type. */
const MAX_DONE = 64;

export type OutboxEntry =
  /** `again`: it was in a batch before, see {@link Outbox.droppable}. */
  | {readonly op: 'reading'; readonly reading: Reading; readonly again?: true}
  /** The oldest `count` readings that were in no batch yet are given up, because the spool is full. */
  | {readonly op: 'drop'; readonly count: number}
  /**
   * Numbers begin anew. `life` stands for the secret: a region that was reset gives the name of an epoch a second time. `region` gave it; what was sealed for
   * another one waits again. It may be missing where a journal is damaged, and is as before then.
   */
  | {readonly op: 'epoch'; readonly epoch: string; readonly life: string; readonly region?: string}
  | {
      readonly op: 'seal';
      readonly count: number;
      readonly mode: 'delta' | 'full';
      readonly reason: Reason;
      readonly state?: JsonObject;
    }
  | {readonly op: 'accepted'; readonly epoch: string; readonly batchSeq: number}
  /** The way lets it through no more, and it may have been taken: it waits as accepted. See {@link Batch.barredMs}. */
  | {readonly op: 'bar'; readonly epoch: string; readonly batchSeq: number; readonly ms: number}
  /**
   * Everything up to here is in its shard: our copies of what had a 2xx may go. The others are sent once more, because under their numbers may be what a copy
   * of our card has sent.
   */
  | {readonly op: 'applied'; readonly epoch: string; readonly through: number}
  /** The region misses batches from here on: they count as not accepted. */
  | {readonly op: 'resend'; readonly epoch: string; readonly from: number}
  /** Unseals every batch that was not accepted, all of one epoch that the region does not know, or one: their readings wait again. */
  | {readonly op: 'reopen'; readonly epoch?: string; readonly batchSeq?: number}
  /** The region lost batches of this epoch that we do not have any more. What we have of it is sent once more, and forgotten when it is accepted. */
  | {readonly op: 'send-once'; readonly epoch: string}
  /** The region will never take this content: the batch becomes empty, so that the numbers after it stay contiguous. */
  | {readonly op: 'withdraw'; readonly epoch: string; readonly batchSeq: number}
  /** The region lost it, and the network lets it through no more: the batch becomes empty, and its readings wait again, for other numbers. */
  | {readonly op: 'vacate'; readonly epoch: string; readonly batchSeq: number}
  /** See {@link Batch.waits}. */
  | {readonly op: 'waited'}
  /** So many lines of the journal could not be read, or all of it is gone: numbers may be used that are not known here, until the next epoch. */
  | {readonly op: 'lost'; readonly lines: number}
  /** Commands that are done, and not done again however often they are listed. */
  | {readonly op: 'done'; readonly ids: readonly string[]}
  /** First entry of a compacted journal. */
  | {
      readonly op: 'start';
      readonly epoch?: string;
      readonly life?: string;
      readonly region?: string;
      readonly nextBatchSeq: number;
      readonly nextS: number;
      readonly dropped: number;
      readonly lostLines?: number;
      readonly applied: number;
      readonly lost?: true;
    }
  | {readonly op: 'batch'; readonly batch: Batch};

interface Waiting {
  readonly reading: Reading;
  readonly again: boolean;
}

export class Outbox {
  #epoch: string | undefined;
  #nextBatchSeq = 1;
  #nextS = 1;
  #applied = 0;
  #dropped = 0;
  #areNumbersLost = false;
  #life: string | undefined;
  #region: string | undefined;
  #done: string[] = [];
  #lostLines = 0;
  #queue: Waiting[] = [];
  #batches: Batch[] = [];

  get epoch(): string | undefined {
    return this.#epoch;
  }
  /** Of the epoch, see {@link OutboxEntry}. */
  get life(): string | undefined {
    return this.#life;
  }
  /** Whose numbers batches have: all are for one region. */
  get region(): string | undefined {
    return this.#region;
  }
  /** The highest number given out in this epoch; 0 before the first. */
  get lastBatchSeq(): number {
    return this.#nextBatchSeq - 1;
  }
  /** The contiguous prefix of this epoch that the region said it applied. */
  get applied(): number {
    return this.#applied;
  }
  /** Readings that were given up. */
  get dropped(): number {
    return this.#dropped;
  }
  /** Lines of the journal that could not be read. Nobody knows how many readings were in them. */
  get lostLines(): number {
    return this.#lostLines;
  }
  /** Nothing may be numbered in this epoch. */
  get areNumbersLost(): boolean {
    return this.#areNumbersLost;
  }
  /** Ids of commands that are done, the newest last. */
  get done(): readonly string[] {
    return this.#done;
  }
  /** Readings that are in no batch. */
  get queued(): number {
    return this.#queue.length;
  }
  /**
   * Of these, those that were never in a batch. Only they may be given up where too many wait. The others may have been accepted, and what was accepted is
   * never lost; there are no more of them than batches had.
   */
  get droppable(): number {
    return this.#queue.filter(({again}) => !again).length;
  }
  get batches(): readonly Batch[] {
    return this.#batches;
  }
  /** The oldest batch without a 2xx. */
  get toSend(): Batch | undefined {
    return this.#batches.find((batch) => !batch.accepted);
  }

  /** What was sealed was not sealed for this region. */
  isElsewhere(region: string | undefined): boolean {
    return this.#region !== undefined && region !== undefined && region !== this.#region;
  }

  apply(entry: OutboxEntry): void {
    switch (entry.op) {
      case 'reading':
        this.#queue.push({reading: entry.reading, again: entry.again === true});
        return;
      case 'drop':
        this.#drop(entry.count);
        return;
      case 'epoch':
        if (this.isElsewhere(entry.region)) this.#putBack(this.#batches.splice(0));
        this.#region = entry.region ?? this.#region;
        this.#epoch = entry.epoch;
        this.#life = entry.life;
        this.#nextBatchSeq = 1;
        this.#nextS = 1;
        this.#applied = 0;
        this.#areNumbersLost = false;
        return;
      case 'seal':
        this.#seal(entry);
        return;
      case 'accepted':
        this.#batches = this.#batches.filter(
          ({epoch, batchSeq, once}) => once === undefined || epoch !== entry.epoch || batchSeq !== entry.batchSeq,
        );
        this.#change(entry.epoch, ({batchSeq}) => batchSeq === entry.batchSeq, {accepted: true});
        return;
      case 'bar':
        this.#batches = this.#batches.map((batch) =>
          batch.epoch === entry.epoch && batch.batchSeq === entry.batchSeq
            ? {...batch, accepted: true, barredMs: entry.ms}
            : batch,
        );
        return;
      case 'applied':
        if (entry.epoch === this.#epoch) this.#applied = Math.max(this.#applied, entry.through);
        this.#batches = this.#batches.filter(
          (batch) => batch.epoch !== entry.epoch || batch.batchSeq > entry.through || !hadSuccess(batch),
        );
        this.#change(entry.epoch, ({batchSeq}) => batchSeq <= entry.through, {accepted: false});
        return;
      case 'resend':
        this.#change(entry.epoch, ({batchSeq}) => batchSeq >= entry.from, {accepted: false});
        return;
      case 'reopen':
        this.#reopen(entry);
        return;
      case 'send-once':
        this.#change(entry.epoch, () => true, {accepted: false, once: true});
        return;
      case 'withdraw':
        this.#batches = this.#batches.map((batch) => {
          if (batch.epoch !== entry.epoch || batch.batchSeq !== entry.batchSeq) return batch;
          this.#dropped += batch.records.length;
          return {...batch, records: []};
        });
        return;
      case 'vacate':
        this.#vacate(entry);
        return;
      case 'waited':
        this.#batches = this.#batches.map((batch) =>
          batch.accepted ? {...batch, waits: (batch.waits ?? 0) + 1} : batch,
        );
        return;
      case 'lost':
        this.#lostLines += entry.lines;
        this.#areNumbersLost = true;
        return;
      case 'done':
        this.#done = [...this.#done, ...entry.ids].slice(-MAX_DONE);
        return;
      case 'start':
        this.#region = entry.region;
        this.#epoch = entry.epoch;
        this.#life = entry.life;
        this.#nextBatchSeq = entry.nextBatchSeq;
        this.#nextS = entry.nextS;
        this.#dropped = entry.dropped;
        this.#lostLines = entry.lostLines ?? 0;
        this.#applied = entry.applied;
        this.#areNumbersLost = entry.lost === true;
        return;
      case 'batch':
        this.#batches.push(entry.batch);
    }
  }

  /** The shortest journal that replays to this outbox. */
  *entries(): Generator<OutboxEntry> {
    yield {
      op: 'start',
      ...(this.#epoch === undefined ? {} : {epoch: this.#epoch}),
      ...(this.#life === undefined ? {} : {life: this.#life}),
      ...(this.#region === undefined ? {} : {region: this.#region}),
      nextBatchSeq: this.#nextBatchSeq,
      nextS: this.#nextS,
      dropped: this.#dropped,
      ...(this.#lostLines === 0 ? {} : {lostLines: this.#lostLines}),
      applied: this.#applied,
      ...(this.#areNumbersLost ? {lost: true} : {}),
    };
    if (this.#done.length > 0) yield {op: 'done', ids: this.#done};
    for (const batch of this.#batches) yield {op: 'batch', batch};
    for (const {reading, again} of this.#queue) yield {op: 'reading', reading, ...(again ? {again} : {})};
  }

  #drop(count: number): void {
    let left = count;
    this.#queue = this.#queue.filter(({again}) => again || left-- <= 0);
    this.#dropped += count - Math.max(left, 0);
  }

  #putBack(batches: readonly Batch[]): void {
    const readings = batches.flatMap(({records}) => records.map(({k, t, d}) => ({reading: {k, t, d}, again: true})));
    this.#queue = [...readings, ...this.#queue];
  }

  #seal(entry: OutboxEntry & {op: 'seal'}): void {
    if (this.#epoch === undefined) throw new Error('a batch cannot be sealed before the device is enrolled');
    const records = this.#queue
      .splice(0, entry.count)
      .map(({reading: {k, t, d}}, index) => ({s: this.#nextS + index, k, t, d}));
    this.#batches.push({
      epoch: this.#epoch,
      batchSeq: this.#nextBatchSeq,
      mode: entry.mode,
      reason: entry.reason,
      state: entry.state,
      records,
      accepted: false,
    });
    this.#nextBatchSeq += 1;
    this.#nextS += records.length;
  }

  /** What is marked anew is waited for anew. */
  #change(epoch: string, which: (batch: Batch) => boolean, marks: Partial<Batch>): void {
    this.#batches = this.#batches.map((batch) =>
      batch.epoch === epoch && which(batch) ? {...batch, waits: undefined, barredMs: undefined, ...marks} : batch,
    );
  }

  #vacate({epoch, batchSeq}: OutboxEntry & {op: 'vacate'}): void {
    const at = this.#batches.findIndex((batch) => batch.epoch === epoch && batch.batchSeq === batchSeq);
    const batch = this.#batches[at];
    if (batch === undefined) return;
    const {mode, reason, state} = batch;
    this.#putBack([batch]);
    this.#batches = this.#batches.with(at, {epoch, batchSeq, mode, reason, state, records: [], accepted: false});
  }

  #reopen(which: OutboxEntry & {op: 'reopen'}): void {
    const isReopened = ({epoch, batchSeq, accepted}: Batch): boolean =>
      which.epoch === undefined
        ? !accepted
        : epoch === which.epoch && (which.batchSeq === undefined || batchSeq === which.batchSeq);
    const reopened = this.#batches.filter(isReopened);
    this.#batches = this.#batches.filter((batch) => !isReopened(batch));
    this.#putBack(reopened);
    const first = reopened.find((batch) => batch.epoch === this.#epoch);
    // A number that has others behind it stays used.
    const isTail = !this.#batches.some(({epoch, batchSeq}) => epoch === first?.epoch && batchSeq > first.batchSeq);
    if (first === undefined || !isTail) return;
    this.#nextBatchSeq = first.batchSeq;
    const counted = reopened.filter((batch) => batch.epoch === this.#epoch);
    this.#nextS -= counted.reduce((sum, batch) => sum + batch.records.length, 0);
  }
}
