/** The shell around machine.ts: one device that enrols, syncs, and remembers. The Pi's agent and the fleet simulator are built on it. */
import {classifyEnrol, classifySync, type Answer} from './answer.ts';
import {contentHash, encodeBody} from './content.ts';
import {afterEnrol, afterSync, decide, startSession, wakeUp, type Chance, type Session, type Step} from './machine.ts';
import type {Batch, Outbox, OutboxEntry} from './outbox.ts';
import type {Transport} from './transport.ts';
import type {JsonObject, Policy, Reading, Reason, SyncBody} from './wire.ts';

/** Who the device is. The device makes its own secret, so that a repeated enrolment is the same one. */
export interface Identity {
  readonly hardwareId: string;
  /** 32 random bytes in base64url. */
  readonly secret: string;
  readonly deviceId?: string;
  /** Absent as long as the secret was never used for a sync. */
  readonly credential?: string;
  /** As issued with the credential. The outbox's is the one that counts. */
  readonly epoch?: string;
}

/** Where identity and outbox entries are made durable. Resolves when a power cut can no longer undo them. */
export interface Memory {
  saveIdentity(identity: Identity): Promise<void>;
  append(entries: readonly OutboxEntry[]): Promise<void>;
}

export interface Clock {
  monotonicMs(): number;
  wallMs(): number;
}

/** What a ledger wants to know. */
export interface Observer {
  enrolled?(deviceId: string, epoch: string): void;
  /** Called, and awaited, before the bytes leave. */
  sending?(deviceId: string, batch: Batch, hash: string): void | Promise<void>;
  answered?(deviceId: string, batch: Batch, hash: string, answer: Answer, tookMs: number): void;
  /** One HTTP call of any kind ended. */
  called?(what: 'enrol' | 'sync' | 'heartbeat', tookMs: number, error: string | undefined): void;
}

export interface DeviceOptions {
  readonly baseUrl: string;
  readonly enrolmentToken: string | undefined;
  readonly profile: {readonly name?: string; readonly model?: string; readonly tags?: Readonly<Record<string, string>>};
  /** Waits after failures are multiplied by this; 1 for a real device, less where a simulation is in a hurry. */
  readonly backoffScale: number;
  /** Until the region has said its own. */
  readonly policy?: Policy;
}

export interface DeviceParts {
  readonly identity: Identity;
  readonly outbox: Outbox;
  readonly memory: Memory;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newSecret: () => string;
  /** The state that a batch carries, read when it is sealed. */
  readonly readState: () => JsonObject | undefined;
  readonly observer: Observer;
  readonly options: DeviceOptions;
}

const PROTOCOL_HEADERS = {'content-type': 'application/json', 'x-pisync-protocol': '1'};

export class Device {
  readonly #parts: DeviceParts;
  #identity: Identity;
  #session: Session;

  constructor(parts: DeviceParts) {
    this.#parts = parts;
    this.#identity = parts.identity;
    this.#session = startSession(
      parts.identity.credential !== undefined,
      parts.outbox.lastBatchSeq > 0,
      parts.clock.monotonicMs(),
      parts.options.policy,
    );
  }

  get identity(): Identity {
    return this.#identity;
  }
  get session(): Session {
    return this.#session;
  }
  get outbox(): Outbox {
    return this.#parts.outbox;
  }

  async record(readings: readonly Reading[]): Promise<void> {
    await this.#commit(readings.map((reading) => ({op: 'reading', reading})));
  }

  /** Makes the device due now; a back-off that runs is not shortened. */
  wakeUp(reason: Reason): void {
    this.#session = wakeUp(this.#session, reason, this.#parts.clock.monotonicMs());
  }

  /** Makes a heartbeat due now, to hear what is applied. */
  ask(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#session = {...this.#session, dueMs: Math.min(this.#session.dueMs, nowMs)};
  }

  /**
   * Does the one thing that is next.
   * @returns the monotonic time before which nothing is to be done, in ms; now or earlier means: call again.
   */
  async step(): Promise<number> {
    const {clock, outbox} = this.#parts;
    const nowMs = clock.monotonicMs();
    const action = decide(this.#session, outbox, nowMs);
    switch (action.kind) {
      case 'wait':
        return action.untilMs;
      case 'enrol':
        await this.#enrol(action.newSecret);
        return nowMs;
      case 'seal': {
        const state = this.#parts.readState();
        const {count, mode, reason} = action;
        await this.#commit([{op: 'seal', count, mode, reason, ...(state === undefined ? {} : {state})}]);
        return nowMs;
      }
      case 'send':
        await this.#send(action.batch);
        return nowMs;
      case 'heartbeat':
        await this.#heartbeat(action.epoch, action.reason);
        return nowMs;
    }
  }

  async #commit(entries: readonly OutboxEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await this.#parts.memory.append(entries);
    for (const entry of entries) this.#parts.outbox.apply(entry);
  }

  async #take(step: Step): Promise<void> {
    await this.#commit(step.entries);
    this.#session = step.session;
  }

  #chance(): Chance {
    const {clock, random, options} = this.#parts;
    return {nowMs: clock.monotonicMs(), random: random(), backoffScale: options.backoffScale};
  }

  async #enrol(newSecret: boolean): Promise<void> {
    const {options, clock, memory, outbox, observer} = this.#parts;
    if (newSecret) {
      const {hardwareId} = this.#identity;
      this.#identity = {hardwareId, secret: this.#parts.newSecret()};
      // Saved before it is used: the region must never know a secret that we could forget.
      await memory.saveIdentity(this.#identity);
      this.#session = {...this.#session, newSecretWanted: false, phase: 'enrol'};
    }
    // Under a secret that was never used begins another life: a region that was reset gives its epoch a name that we have used.
    if (this.#identity.credential === undefined && outbox.epoch !== undefined) await this.#commit([{op: 'leave'}]);
    const {hardwareId, secret} = this.#identity;
    const {bytes} = await encodeBody({hardwareId, secret, ...options.profile}, 'none');
    const startMs = clock.monotonicMs();
    const reply = await this.#parts.transport({
      method: 'POST',
      baseUrl: this.#session.home ?? options.baseUrl,
      path: '/v1/enroll',
      headers: {
        ...PROTOCOL_HEADERS,
        ...(options.enrolmentToken === undefined ? {} : {authorization: `Bearer ${options.enrolmentToken}`}),
      },
      body: bytes,
    });
    const outcome = classifyEnrol(reply);
    const error = outcome.kind === 'later' ? outcome.error : undefined;
    observer.called?.('enrol', clock.monotonicMs() - startMs, error);
    // The epoch is in the journal before the credential is saved: with a credential, what is sealed is sent.
    await this.#take(afterEnrol(this.#session, outcome, outbox, this.#chance()));
    if (outcome.kind !== 'enrolled') return;
    const {deviceId, credential, epoch} = outcome.answer;
    this.#identity = {hardwareId, secret, deviceId, credential, epoch};
    await memory.saveIdentity(this.#identity);
    observer.enrolled?.(deviceId, epoch);
  }

  async #send(batch: Batch): Promise<void> {
    const {observer, clock} = this.#parts;
    const deviceId = this.#identity.deviceId ?? '';
    const hash = contentHash(batch.state, batch.records);
    await observer.sending?.(deviceId, batch, hash);
    const startMs = clock.monotonicMs();
    const reason = this.#session.attempt > 1 ? 'retry' : batch.reason;
    const answer = await this.#post(this.#body(batch.epoch, batch.batchSeq, batch.mode, reason, batch), batch.batchSeq);
    const tookMs = clock.monotonicMs() - startMs;
    observer.called?.('sync', tookMs, answer.kind === 'accepted' ? undefined : answer.error);
    observer.answered?.(deviceId, batch, hash, answer, tookMs);
    await this.#take(afterSync(this.#session, batch, answer, this.#parts.outbox, this.#chance()));
  }

  async #heartbeat(epoch: string, reason: Reason): Promise<void> {
    const {clock, outbox, observer} = this.#parts;
    const startMs = clock.monotonicMs();
    const answer = await this.#post(this.#body(epoch, outbox.lastBatchSeq, 'heartbeat', reason, undefined), undefined);
    observer.called?.(
      'heartbeat',
      clock.monotonicMs() - startMs,
      answer.kind === 'accepted' ? undefined : answer.error,
    );
    await this.#take(afterSync(this.#session, {epoch}, answer, outbox, this.#chance()));
  }

  #body(epoch: string, batchSeq: number, mode: SyncBody['mode'], reason: Reason, batch: Batch | undefined): SyncBody {
    const {clock, outbox} = this.#parts;
    const {configRev, attempt, lastError} = this.#session;
    return {
      epoch,
      batchSeq,
      prevAcked: outbox.applied,
      mode,
      reason,
      clock: {now: clock.wallMs(), synced: false, uptimeMs: Math.round(clock.monotonicMs())},
      ...(batch?.state === undefined ? {} : {state: batch.state}),
      records: batch?.records ?? [],
      more: outbox.queued > 0,
      pull: {
        ...(configRev === undefined ? {} : {configRev}),
        ...(outbox.cmdCursor === undefined ? {} : {cmdCursor: outbox.cmdCursor}),
      },
      stats: {
        attempt,
        ...(lastError === undefined ? {} : {lastError: lastError.slice(0, 200)}),
        queued: outbox.queued,
        dropped: outbox.dropped,
      },
    };
  }

  async #post(body: SyncBody, batchSeq: number | undefined): Promise<Answer> {
    const {policy, home} = this.#session;
    const {bytes, encoding} = await encodeBody(body, policy.compress);
    return classifySync(
      await this.#parts.transport({
        method: 'POST',
        baseUrl: home ?? this.#parts.options.baseUrl,
        path: '/v1/sync',
        headers: {
          ...PROTOCOL_HEADERS,
          authorization: `Bearer ${this.#identity.credential ?? ''}`,
          ...(encoding === undefined ? {} : {'content-encoding': encoding}),
        },
        body: bytes,
      }),
      batchSeq,
    );
  }
}
