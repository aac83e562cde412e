/** The shell around machine.ts: one device that enrols, syncs, and remembers. The Pi's agent and the fleet simulator are built on it. */
import {classifyEnrol, classifySync, type Answer, type HttpReply} from './answer.ts';
import {contentHash, encodeBody, lifeOf} from './content.ts';
import {isEnrolled, type Enrolled, type Identity} from './identity.ts';
import {afterEnrol, afterSeal, afterSync, decide} from './machine.ts';
import type {Batch, Outbox, OutboxEntry} from './outbox.ts';
import {askNow, nameOf, startSession, wakeUp, type Session, type Step} from './session.ts';
import type {Call, Transport} from './transport.ts';
import {type Chance, failed} from './waits.ts';
import {DEFAULT_POLICY, type JsonObject, type Policy, type Reading, type Reason, type SyncBody} from './wire.ts';

/** Where identity and outbox entries are made durable. Resolves when a power cut can no longer undo them. */
export interface Memory {
  saveIdentity(identity: Identity): Promise<void>;
  append(entries: readonly OutboxEntry[]): Promise<void>;
  /** Keeps records that the region has refused for good. @returns false when there is no room: then they stay in the outbox */
  setAside(batch: Batch, reason: string): Promise<boolean>;
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
  /** A heartbeat said that the batch is applied, of which no 2xx had come. */
  applied?(deviceId: string, batch: Batch, hash: string): void;
  /** One HTTP call of any kind ended. */
  called?(what: 'enrol' | 'sync' | 'heartbeat', tookMs: number, error: string | undefined): void;
}

export interface DeviceOptions {
  readonly baseUrl: string;
  readonly enrolmentToken: string | undefined;
  readonly profile: {readonly name?: string; readonly model?: string; readonly tags?: Readonly<Record<string, string>>};
  /** Waits after failures are multiplied by this; 1 for a real device, less where a simulation is in a hurry. */
  readonly backoffScale: number;
  /** The first call waits a share of the policy's `edgeJitter`: a power cut ends for a whole site in the same second. */
  readonly isStartSpread?: boolean;
  /** Hosts besides that of `baseUrl` and those of the policy to which the region may send the device. */
  readonly homeHosts?: readonly string[];
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

/** Without `Accept-Encoding` somebody in between may compress an answer (RFC 9110, 12.5.3), and then nobody understands it. */
const PROTOCOL_HEADERS = {'content-type': 'application/json', 'x-pisync-protocol': '1', 'accept-encoding': 'identity'};

/** What has no 2xx is called accepted after a heartbeat only where it is applied. */
const isAccepted = ({epoch, batchSeq}: Batch, entries: readonly OutboxEntry[]): boolean =>
  entries.some((entry) => entry.op === 'accepted' && entry.epoch === epoch && entry.batchSeq === batchSeq);

export class Device {
  readonly #parts: DeviceParts;
  #identity: Identity;
  #session: Session;
  #calls = 0;
  /** The body of the first attempt of a batch, by its name and content. */
  #first: {readonly name: string; readonly body: SyncBody} | undefined;
  readonly #start: string;

  constructor(parts: DeviceParts) {
    this.#parts = parts;
    const {hardwareId, current, pending} = parts.identity;
    // A secret of an earlier run may have been used by a copy of this card since; with `current` it can be spared.
    const isOld = current !== undefined && pending !== undefined && !isEnrolled(pending);
    this.#identity = isOld ? {hardwareId, current} : parts.identity;
    this.#start = Math.floor(parts.random() * 2 ** 48).toString(36);
    const {policy = DEFAULT_POLICY, backoffScale, isStartSpread = false} = parts.options;
    this.#session = startSession({
      isEnrolled: this.#inUse() !== undefined,
      confirming: isEnrolled(pending)
        ? {epoch: pending.epoch, life: lifeOf(pending.secret), region: pending.region}
        : undefined,
      outbox: parts.outbox,
      nowMs: parts.clock.monotonicMs(),
      delayMs: isStartSpread ? parts.random() * policy.backoff.edgeJitter * backoffScale * 1000 : 0,
      policy,
    });
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
    this.#session = askNow(this.#session, this.#parts.clock.monotonicMs());
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
      case 'seal':
        await this.#take(afterSeal(this.#session, action, this.#parts.readState(), outbox));
        return nowMs;
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
    for (const entry of step.entries) {
      if (entry.op !== 'withdraw' || (await this.#setAside(entry, step.session.lastError ?? ''))) continue;
      this.#session = failed(
        step.session,
        'there is no room to keep what the region refused',
        undefined,
        this.#chance(),
      );
      return;
    }
    await this.#commit(step.entries);
    this.#session = step.session;
  }

  async #setAside({epoch, batchSeq}: OutboxEntry & {op: 'withdraw'}, reason: string): Promise<boolean> {
    const {memory, outbox} = this.#parts;
    const batch = outbox.batches.find((one) => one.epoch === epoch && one.batchSeq === batchSeq);
    return batch === undefined || memory.setAside(batch, reason);
  }

  /** The enrolment with which calls are made. */
  #inUse(): Enrolled | undefined {
    const {current, pending} = this.#identity;
    return isEnrolled(pending) ? pending : current;
  }

  async #become(identity: Identity): Promise<void> {
    await this.#parts.memory.saveIdentity(identity);
    this.#identity = identity;
  }

  #chance(): Chance {
    const {clock, random, options} = this.#parts;
    return {nowMs: clock.monotonicMs(), random: random(), backoffScale: options.backoffScale};
  }

  async #enrol(newSecret: boolean): Promise<void> {
    const {options, memory, outbox, observer} = this.#parts;
    const {hardwareId, current, pending} = this.#identity;
    const kept = current === undefined ? {} : {current};
    let secret = (pending ?? current)?.secret;
    if (secret === undefined || (newSecret && (pending === undefined || isEnrolled(pending)))) {
      secret = this.#parts.newSecret();
      // Saved before it is used: the region must never know a secret that we could forget.
      await this.#become({hardwareId, ...kept, pending: {secret}});
    }
    const {bytes} = await encodeBody({hardwareId, secret, ...options.profile}, 'none');
    const region = current?.region;
    const {reply, nonce, tookMs} = await this.#call({
      // Never to another host, whoever names it: the token opens a group.
      baseUrl: options.baseUrl,
      path: '/v1/enroll',
      headers: options.enrolmentToken === undefined ? {} : {authorization: `Bearer ${options.enrolmentToken}`},
      body: bytes,
    });
    const outcome = classifyEnrol(reply, {nonce, region});
    observer.called?.('enrol', tookMs, outcome.kind === 'enrolled' ? undefined : outcome.error);
    const isReplacing = current !== undefined && secret !== current.secret;
    const how = {life: lifeOf(secret), isReplacing, hasCurrent: current !== undefined};
    const step = afterEnrol(this.#session, outcome, outbox, this.#chance(), how);
    if (outcome.kind === 'enrolled') {
      const {deviceId, credential, epoch, region: home} = outcome.answer;
      const enrolled: Enrolled = {secret, deviceId, credential, epoch, region: home};
      if (isReplacing) await this.#become({hardwareId, ...kept, pending: enrolled});
      else {
        // The epoch is in the journal before the credential is saved: with a credential, what is sealed is sent.
        await this.#commit(step.entries);
        await memory.saveIdentity({hardwareId, current: enrolled});
        this.#identity = {hardwareId, current: enrolled};
        observer.enrolled?.(deviceId, epoch);
      }
    } else if (outcome.kind === 'secret-replaced') {
      await this.#become({hardwareId, ...kept});
    } else if (outcome.kind === 'refused' && current !== undefined && isEnrolled(this.#identity.pending)) {
      await this.#become({hardwareId, current, pending: {secret}});
    }
    this.#session = step.session;
  }

  async #send(batch: Batch): Promise<void> {
    const {observer} = this.#parts;
    const deviceId = this.#inUse()?.deviceId ?? '';
    const hash = contentHash(batch.state, batch.records);
    await observer.sending?.(deviceId, batch, hash);
    const body = this.#bodyOf(batch, hash);
    const {answer, tookMs} = await this.#sync('sync', body, batch.batchSeq);
    observer.answered?.(deviceId, batch, hash, answer, tookMs);
    await this.#take(afterSync(this.#session, batch, answer, this.#parts.outbox, this.#chance()));
  }

  /** Of a repetition it is not a byte longer: what was let through once is not too large the second time. */
  #bodyOf(batch: Batch, hash: string): SyncBody {
    const {attempt} = this.#session;
    const name = `${nameOf(batch)}/${hash}`;
    if (this.#first?.name !== name) {
      const body = this.#body(batch.epoch, batch.batchSeq, batch.mode, batch.reason, batch);
      this.#first = {name, body};
      return body;
    }
    const {body} = this.#first;
    const more = body.more || this.#parts.outbox.queued > 0;
    return {...body, more, stats: {...body.stats, attempt: Math.min(attempt, 9)}};
  }

  async #heartbeat(epoch: string, reason: Reason): Promise<void> {
    const {memory, outbox, observer} = this.#parts;
    const {hardwareId, pending} = this.#identity;
    const body = this.#body(epoch, outbox.lastBatchSeq, 'heartbeat', reason, undefined);
    const {answer} = await this.#sync('heartbeat', body, undefined);
    const wasConfirming = this.#session.confirming !== undefined;
    const step = afterSync(this.#session, {epoch}, answer, outbox, this.#chance());
    const learnt = outbox.batches.filter((batch) => isAccepted(batch, step.entries));
    await this.#take(step);
    for (const batch of learnt) {
      observer.applied?.(this.#inUse()?.deviceId ?? '', batch, contentHash(batch.state, batch.records));
    }
    const {confirming, newSecretWanted} = this.#session;
    if (!wasConfirming || confirming !== undefined || newSecretWanted || !isEnrolled(pending)) return;
    // Also where it cannot be written down yet: the one before is over.
    this.#identity = {hardwareId, current: pending};
    await memory.saveIdentity(this.#identity);
    observer.enrolled?.(pending.deviceId, pending.epoch);
  }

  #body(epoch: string, batchSeq: number, mode: SyncBody['mode'], reason: Reason, batch: Batch | undefined): SyncBody {
    const {clock, outbox} = this.#parts;
    const {configRev, attempt, lastError, cmdAcks} = this.#session;
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
        ...(cmdAcks.length === 0 ? {} : {cmdAcks}),
      },
      stats: {
        attempt,
        ...(lastError === undefined ? {} : {lastError: lastError.slice(0, 200)}),
        queued: outbox.queued,
        dropped: outbox.dropped,
        ...(outbox.lostLines === 0 ? {} : {lostLines: outbox.lostLines}),
      },
    };
  }

  async #sync(
    what: 'sync' | 'heartbeat',
    body: SyncBody,
    batchSeq: number | undefined,
  ): Promise<{answer: Answer; tookMs: number}> {
    const {baseUrl, homeHosts = []} = this.#parts.options;
    const {policy, home, isPlain} = this.#session;
    const {deviceId = '', credential = '', region} = this.#inUse() ?? {};
    const {plain, bytes, encoding} = await encodeBody(body, isPlain ? 'none' : policy.compress);
    const {reply, nonce, tookMs} = await this.#call({
      baseUrl: home ?? baseUrl,
      path: '/v1/sync',
      headers: {
        authorization: `Bearer ${credential}`,
        ...(encoding === undefined ? {} : {'content-encoding': encoding}),
      },
      body: bytes,
    });
    const homes = [new URL(baseUrl).hostname, ...homeHosts, ...policy.homes];
    const sent = {nonce, region, deviceId, epoch: body.epoch, batchSeq, body: plain, sizeBytes: bytes.length, homes};
    const answer = classifySync(reply, sent);
    this.#parts.observer.called?.(what, tookMs, answer.kind === 'accepted' ? undefined : answer.error);
    return {answer, tookMs};
  }

  /** One call, with a nonce in its address: no proxy takes it away there, and no cache has an answer for it. */
  async #call(
    call: Omit<Call, 'method'>,
  ): Promise<{readonly reply: HttpReply; readonly nonce: string; readonly tookMs: number}> {
    const {clock, transport} = this.#parts;
    const nonce = `${this.#start}-${(this.#calls += 1)}`;
    const startMs = clock.monotonicMs();
    const reply = await transport({
      method: 'POST',
      ...call,
      path: `${call.path}?nonce=${nonce}`,
      headers: {...PROTOCOL_HEADERS, ...call.headers},
    });
    return {reply, nonce, tookMs: clock.monotonicMs() - startMs};
  }
}
