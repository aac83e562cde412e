import {type ApiClient} from './api-client.ts';
import {type Clock} from './clock.ts';
import {type EventDraft} from './controller.ts';
import {microTime} from './election.ts';
import {isNotFound, messageOf} from './errors.ts';
import {type Log} from './log.ts';
import {type ObjectRef} from './object.ts';
import {cutText} from './text.ts';
import {TokenBucket} from './token-bucket.ts';

export interface EventRecorderOptions {
  readonly client: Pick<ApiClient, 'send'>;
  readonly clock: Clock;
  readonly log: Log;
  /** `reportingController`, e.g. `example.org/shop-operator`. */
  readonly controller: string;
  /** `reportingInstance`: the pod. */
  readonly instance: string;
  readonly randomText: (bytes: number, encoding: 'hex') => string;
}

/** Per object, as client-go's spam filter: 25 at once, then one in five minutes. */
const SPAM_FILTER = {burst: 25, refillMs: 300_000};
/** The same event again within this time joins the series of the first. */
const SERIES_MS = 600_000;
/** A series is written at its second event and then at most this often. */
const SERIES_WRITE_MS = 60_000;
/** What could not be written is tried again by later reports for so long, unless there is something newer with its reason; nobody looks for what is older. */
const LATE_MS = 600_000;
const MOST_LATE = 25;
const LONGEST_NOTE_BYTES = 1024;
/** For all events of a report: an API server that takes its time over events must not hold up what they tell of. */
const REPORT_MS = 3_000;

interface Series {
  readonly path: string;
  readonly count: number;
  readonly lastMs: number;
  readonly writtenMs: number;
}

interface Unwritten {
  readonly draft: EventDraft;
  readonly sinceMs: number;
}

interface Subject {
  /** What the last pass reported: only what is new since then becomes an event. */
  current: ReadonlySet<string>;
  /** By text: what was reported and could not be written. */
  readonly unwritten: Map<string, Unwritten>;
  readonly tokens: TokenBucket;
  readonly series: Map<string, Series>;
}

/**
 * Writes events (events.k8s.io/v1). A level-triggered pass reports what *is*; an event says what *happened*: one is written when a pass
 * begins to report it, not while it keeps doing so. Only what a draft says has `happened` is an event every time.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #subjects = new Map<string, Subject>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Never rejects: an event that cannot be written is logged. `isMore`: beside what the pass has reported before. */
  async report(
    regarding: ObjectRef,
    drafts: readonly EventDraft[],
    signal: AbortSignal,
    isMore = false,
  ): Promise<void> {
    const now = this.#options.clock.monotonicMs();
    const subject = this.#subjects.get(regarding.uid) ?? {
      current: new Set<string>(),
      unwritten: new Map<string, Unwritten>(),
      tokens: new TokenBucket(SPAM_FILTER, now),
      series: new Map<string, Series>(),
    };
    this.#subjects.set(regarding.uid, subject);
    const fresh = drafts.filter((draft) => draft.happened === true || !subject.current.has(textOf(draft)));
    subject.current = new Set([...(isMore ? subject.current : []), ...drafts.map(textOf)]);
    const owed = [...subject.unwritten.values()].filter(
      ({draft, sinceMs}) => now - sinceMs <= LATE_MS && !fresh.some(({reason}) => reason === draft.reason),
    );
    subject.unwritten.clear();
    for (const [text, series] of subject.series) if (now - series.lastMs > SERIES_MS) subject.series.delete(text);
    const {clock, log} = this.#options;
    const late = new AbortController();
    const cancel = clock.schedule(REPORT_MS, () => late.abort(new Error('events took too long')));
    const bounded = AbortSignal.any([signal, late.signal]);
    for (const one of [...owed, ...fresh.map((draft): Unwritten => ({draft, sinceMs: now}))]) {
      const {draft} = one;
      try {
        bounded.throwIfAborted();
        await this.#write(regarding, draft, subject, bounded);
      } catch (error) {
        log.warn({reason: draft.reason, object: regarding.name, error: messageOf(error)}, 'event not written');
        if (subject.unwritten.size < MOST_LATE) subject.unwritten.set(textOf(draft), one);
      }
    }
    cancel();
  }

  forget(uid: string): void {
    this.#subjects.delete(uid);
  }

  async #write(regarding: ObjectRef, draft: EventDraft, subject: Subject, signal: AbortSignal): Promise<void> {
    const {client, clock} = this.#options;
    const nowMs = clock.monotonicMs();
    const text = textOf(draft);
    const known = subject.series.get(text);
    if (known !== undefined) {
      const next = {...known, count: known.count + 1, lastMs: nowMs};
      subject.series.set(text, next);
      if (known.count > 1 && nowMs - known.writtenMs < SERIES_WRITE_MS) return;
      subject.series.set(text, {...next, writtenMs: nowMs});
      try {
        await client.send({
          method: 'PATCH',
          path: known.path,
          contentType: 'application/merge-patch+json',
          body: {series: {count: next.count, lastObservedTime: microTime(clock.now())}},
          signal,
        });
        return;
      } catch (error) {
        // Events live for an hour: begin again.
        if (!isNotFound(error)) throw error;
      }
    }
    if (!subject.tokens.take(nowMs)) {
      this.#options.log.debug({reason: draft.reason, object: regarding.name}, 'too many events: left out');
      return;
    }
    const path = await this.#create(regarding, draft, signal);
    subject.series.set(text, {path, count: 1, lastMs: nowMs, writtenMs: nowMs});
  }

  async #create(regarding: ObjectRef, draft: EventDraft, signal: AbortSignal): Promise<string> {
    const {client, clock, controller, instance, randomText} = this.#options;
    const namespace = regarding.namespace ?? 'default';
    const collection = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
    const name = `${regarding.name}.${randomText(8, 'hex')}`;
    const {apiVersion, kind, uid} = regarding;
    await client.send({
      method: 'POST',
      path: collection,
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: {name, namespace},
        eventTime: microTime(clock.now()),
        reportingController: controller,
        reportingInstance: instance,
        action: draft.action ?? 'Reconcile',
        reason: draft.reason,
        regarding: {apiVersion, kind, name: regarding.name, namespace, uid},
        note: cutText(draft.note, LONGEST_NOTE_BYTES),
        type: draft.type,
      },
      signal,
    });
    return `${collection}/${name}`;
  }
}

const textOf = ({type, reason, action, note}: EventDraft): string => JSON.stringify([type, reason, action, note]);
