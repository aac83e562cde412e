import {type ApiClient} from './api-client.ts';
import {pause, type Clock} from './clock.ts';
import {ApiError, isDenied, messageOf} from './errors.ts';
import {type Log} from './log.ts';
import {type KubeMetrics} from './metrics.ts';

export interface ElectionOptions {
  /** Whose writes wait for no election. */
  readonly client: Pick<ApiClient, 'send'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Pick<KubeMetrics, 'leader'>;
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process, e.g. pod name and a random suffix. */
  readonly identity: string;
  /** Runs while this process leads; its signal aborts when that ends, and it must then return soon. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
}

/**
 * client-go's numbers. A candidate takes over after LEASE_MS without a sign of the holder; the holder itself gives up after
 * RENEW_WITHIN_MS, so 5 s of clock drift and request time lie between the two.
 */
export const LEASE_MS = 15_000;
const RENEW_WITHIN_MS = 10_000;
const RETRY_MS = 2_000;

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export interface Lease {
  readonly metadata: {readonly resourceVersion: string};
  readonly spec?: LeaseSpec;
}

/**
 * Leader election on a Lease. Whether another holder is alive is judged by how long the Lease has not *changed* on this
 * process's monotonic clock, never by comparing clocks of two machines.
 */
export class Election {
  readonly #options: ElectionOptions;
  #seen: {readonly lease: Lease; readonly atMs: number} | undefined;
  /** When the last successful renewal was *sent*; undefined while another one leads. */
  #renewedMs: number | undefined;
  /** The last write got no answer: the server may have taken it. */
  #isUnsure = false;
  #failure: Error | undefined;
  #term: {readonly abort: AbortController; readonly ended: Promise<void>} | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
  }

  get isLeader(): boolean {
    return this.mayWriteForMs() > 0;
  }

  get holder(): string {
    return this.#seen?.lease.spec?.holderIdentity ?? '';
  }

  /**
   * How long writing is safe from now on; 0 or less: not at all. It runs down by itself, so a process that was stopped for a
   * while and wakes up knows that it may not write before it learns who leads.
   */
  mayWriteForMs(): number {
    return this.#renewedMs === undefined ? 0 : this.#renewedMs + RENEW_WITHIN_MS - this.#options.clock.monotonicMs();
  }

  /**
   * Takes part until the signal aborts, then ends its term and gives the Lease up. Rejects only if `lead` did: a process whose
   * work broke must not keep others from it.
   */
  async run(signal: AbortSignal): Promise<void> {
    const {clock, random, metrics, name} = this.#options;
    metrics.leader.set({name}, 0);
    while (!signal.aborted && this.#failure === undefined) {
      const startedMs = clock.monotonicMs();
      await this.#step(signal);
      // Candidates are jittered so that they do not collide for ever (client-go's factor is 1.2).
      const everyMs = this.#term === undefined ? RETRY_MS * (1 + 1.2 * random()) : RETRY_MS;
      // A try that got no answer has used up its pause: another one still fits into RENEW_WITHIN_MS.
      await pause(clock, Math.max(0, startedMs + everyMs - clock.monotonicMs()), signal);
    }
    await this.#endTerm();
    await this.#release();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #step(signal: AbortSignal): Promise<void> {
    const {clock, log} = this.#options;
    // A process that was stopped for a while: others may have led meanwhile, so what its term was doing is over even if the lease is free again.
    if (!this.isLeader) await this.#endTerm();
    const startedMs = clock.monotonicMs();
    try {
      if (await this.#tryHold(signal)) {
        this.#renewedMs = startedMs;
        this.#beginTerm();
        return;
      }
      this.#renewedMs = undefined;
    } catch (error) {
      if (signal.aborted) return;
      log.warn({error: messageOf(error)}, 'could not renew or read the lease');
    }
    if (!this.isLeader) await this.#endTerm();
  }

  /** Whether the Lease is ours after this. */
  async #tryHold(signal: AbortSignal): Promise<boolean> {
    const {clock, identity} = this.#options;
    if (this.#seen?.lease.spec?.holderIdentity === identity) {
      // Renewing needs no read: the version makes it fail if anybody else wrote.
      try {
        return await this.#write(this.#seen.lease, signal);
      } catch (error) {
        if (!(error instanceof ApiError) || ![404, 409].includes(error.status)) throw error;
      }
    }
    const lease = await this.#read(signal);
    if (lease === undefined) return this.#write(undefined, signal);
    if (lease.metadata.resourceVersion !== this.#seen?.lease.metadata.resourceVersion) {
      this.#seen = {lease, atMs: clock.monotonicMs()};
    }
    const holder = lease.spec?.holderIdentity ?? '';
    const lastsMs = (lease.spec?.leaseDurationSeconds ?? LEASE_MS / 1000) * 1000;
    const isFree = holder === '' || holder === identity || clock.monotonicMs() > this.#seen.atMs + lastsMs;
    return isFree && this.#write(lease, signal);
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      const {body} = await this.#options.client.send({
        method: 'GET',
        path: this.#path,
        signal,
        timeoutMs: 5_000,
      });
      // The path of a Lease answers a Lease.
      return body as Lease;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #write(old: Lease | undefined, signal: AbortSignal): Promise<boolean> {
    const {clock, identity} = this.#options;
    const time = microTime(clock.now());
    const isRenewal = old?.spec?.holderIdentity === identity;
    const spec: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: LEASE_MS / 1000,
      acquireTime: (isRenewal ? old.spec.acquireTime : undefined) ?? time,
      renewTime: time,
      leaseTransitions: (old?.spec?.leaseTransitions ?? 0) + (isRenewal || old === undefined ? 0 : 1),
    };
    try {
      this.#seen = {lease: await this.#put(old, spec, signal), atMs: clock.monotonicMs()};
      return true;
    } catch (error) {
      // Another candidate was faster.
      if (error instanceof ApiError && error.status === 409 && !isDenied(error) && !isRenewal) return false;
      throw error;
    }
  }

  async #put(old: Lease | undefined, spec: LeaseSpec, signal: AbortSignal): Promise<Lease> {
    const {client, name, namespace} = this.#options;
    const lease = {
      ...old,
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: old?.metadata ?? {name, namespace},
      spec,
    };
    this.#isUnsure = true;
    const answer = client.send({
      method: old === undefined ? 'POST' : 'PUT',
      path: old === undefined ? this.#collection : this.#path,
      body: lease,
      signal,
      // A renewal that takes longer is worth nothing; the next try has to fit into RENEW_WITHIN_MS as well.
      timeoutMs: 5_000,
    });
    try {
      const {body} = await answer;
      this.#isUnsure = false;
      // A successful write answers the object.
      return body as Lease;
    } catch (error) {
      this.#isUnsure = !(error instanceof ApiError) || error.status >= 500;
      throw error;
    }
  }

  #beginTerm(): void {
    if (this.#term !== undefined) return;
    const {lead, log, identity, metrics, name} = this.#options;
    const abort = new AbortController();
    log.info({identity}, 'leading');
    metrics.leader.set({name}, 1);
    const ended = lead(abort.signal).catch((error: unknown) => {
      log.error({error: messageOf(error)}, 'the term failed');
      this.#failure = new Error('the work of the leader broke', {cause: error});
    });
    this.#term = {abort, ended};
  }

  async #endTerm(): Promise<void> {
    const term = this.#term;
    if (term === undefined) return;
    const {log, identity, metrics, name} = this.#options;
    log.info({identity}, 'no longer leading');
    metrics.leader.set({name}, 0);
    term.abort.abort();
    await term.ended;
    this.#term = undefined;
  }

  /** Lets the next one start at once instead of after LEASE_MS. */
  async #release(): Promise<void> {
    const {clock, identity, log} = this.#options;
    const signal = AbortSignal.timeout(5_000);
    this.#renewedMs = undefined;
    try {
      const lease = this.#isUnsure ? await this.#read(signal) : this.#seen?.lease;
      if (lease?.spec?.holderIdentity !== identity) return;
      const time = microTime(clock.now());
      const spec = {...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: time, acquireTime: time};
      await this.#put(lease, spec, signal);
    } catch (error) {
      log.warn({error: messageOf(error)}, 'could not give the lease up; it expires by itself');
    }
  }

  get #collection(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`;
  }

  get #path(): string {
    return `${this.#collection}/${this.#options.name}`;
  }
}

/** MicroTime of the API: RFC 3339 with six decimals. */
export const microTime = (date: Date): string => date.toISOString().replace('Z', '000Z');
