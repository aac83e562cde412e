import {type Percentiles} from '@pisync/agent/fleet/latency';
import {type HttpAnswer, type HttpConnection} from '../../http-connection.ts';
import {Bodies} from './bodies.ts';
import {type Connect, type Enrol, type LoadResult, type Sync} from './commands.ts';
import {Connections} from './connections.ts';
import {type LoopResult, runOpenLoop} from './open-loop.ts';
import {appliedProbe, type Probe, visibleProbe} from './probes.ts';

export interface FleetParts {
  readonly nowMs: () => number;
  readonly wallMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly random: () => number;
  readonly newSecret: () => string;
  /** Keeps the devices of this run apart from those of others. */
  readonly run: string;
}

interface Device {
  readonly id: string;
  readonly index: number;
  readonly epoch: string;
  readonly headers: string;
}

/** More would be more than an ingress takes by default. */
const MOST_CONNECTIONS = 900;
/** Samples a second of what became of a sync. The admin API is asked over and over for one, and allows a token 20 calls a second. */
const APPLIED_PER_SECOND = 20;
const VISIBLE_PER_SECOND = 1;
/** Where all are due at once: about what a small region takes. */
const HERD_PER_SECOND = 300;
const JSON_HEADERS = 'Content-Type: application/json\r\nX-PiSync-Protocol: 1\r\n';

type Result = Omit<LoadResult, 'loadMicros'>;

/** Devices of one region, over the ingress. Leaner than the device client: bodies are made before, connections are shared. */
export class Fleet {
  readonly #parts: FleetParts;
  readonly #connections: Connections;
  /** Until the first {@link watch} nobody looks. */
  #applied: Probe | undefined;
  readonly #visible: Probe;
  readonly #bodies: Bodies;
  readonly #enrolHeaders: string;
  /** Those that have not synced yet. */
  #fresh: Device[] = [];
  #enrolled = 0;

  constructor(connect: Connect, parts: FleetParts) {
    this.#parts = parts;
    const url = new URL(connect.url);
    this.#connections = new Connections(url, connect.host, MOST_CONNECTIONS);
    this.#visible = visibleProbe(new Connections(url, connect.adminHost, 1), connect.adminToken);
    this.#bodies = new Bodies(connect.recordsPerSync, parts.wallMs());
    this.#enrolHeaders = `Authorization: Bearer ${connect.enrolmentToken}\r\n${JSON_HEADERS}`;
  }

  carryOut(command: Enrol | Sync): Promise<Result> {
    return command.do === 'enrol' ? this.#enrol(command) : this.#sync(command);
  }

  async watch(shardUrls: readonly string[]): Promise<void> {
    await this.#applied?.close();
    this.#applied = appliedProbe(shardUrls);
  }

  visible(): Promise<Percentiles> {
    return this.#visible.finish();
  }

  async close(): Promise<void> {
    this.#connections.close();
    await Promise.all([this.#applied?.close(), this.#visible.close()]);
  }

  async #enrol({count, perSecond}: Enrol): Promise<Result> {
    const from = this.#enrolled;
    this.#enrolled += count;
    const secrets = Array.from({length: count}, () => this.#parts.newSecret());
    const result = await this.#loop({
      count,
      dueMs: pace(perSecond),
      send: (n, connection) => {
        const hardwareId = `bench-${this.#parts.run}-${from + n}`;
        const profile = {name: hardwareId, model: 'simulated', tags: {run: this.#parts.run}};
        const body = JSON.stringify({hardwareId, secret: secrets[n], ...profile});
        return connection.post('/v1/enroll', this.#enrolHeaders, body);
      },
      accepted: (n, {body}) => {
        // The region's own answer, see docs/api/device.md.
        const {deviceId, credential, epoch} = JSON.parse(body) as Record<'deviceId' | 'credential' | 'epoch', string>;
        const headers = `Authorization: Bearer ${credential}\r\n${JSON_HEADERS}Content-Encoding: gzip\r\n`;
        this.#fresh.push({id: deviceId, index: from + n, epoch, headers});
      },
    });
    return {...result, applied: null};
  }

  async #sync({count, perSecond, batchesPerDevice, isSampled}: Sync): Promise<Result> {
    const devices = this.#take(Math.ceil(count / batchesPerDevice));
    const every = (wanted: number): number => Math.max(1, Math.round((perSecond ?? HERD_PER_SECOND) / wanted));
    const [appliedEvery, visibleEvery] = [every(APPLIED_PER_SECOND), every(VISIBLE_PER_SECOND)];
    const batchSeqOf = (n: number): number => Math.floor(n / devices.length) + 1;
    const result = await this.#loop({
      count,
      dueMs: pace(perSecond),
      send: (n, connection) => this.#send(deviceOf(devices, n), batchSeqOf(n), connection),
      accepted: (n) => {
        if (!isSampled) return;
        const {id} = deviceOf(devices, n);
        if (n % appliedEvery === 0) this.#applied?.watch(id, batchSeqOf(n));
        if (n % visibleEvery === 0) this.#visible.watch(id, batchSeqOf(n));
      },
    });
    return {...result, applied: (await this.#applied?.finish()) ?? null};
  }

  #send(device: Device, batchSeq: number, connection: HttpConnection): Promise<HttpAnswer> {
    return connection.post('/v1/sync', device.headers, this.#bodies.of(device.index, device.epoch, batchSeq));
  }

  #loop(calls: Parameters<typeof runOpenLoop>[0]): Promise<LoopResult> {
    // Devices do not keep theirs from one sync to the next, and an ingress closes what is idle.
    this.#connections.close();
    return runOpenLoop(calls, {...this.#parts, connections: this.#connections});
  }

  #take(count: number): readonly Device[] {
    if (this.#fresh.length < count)
      throw new Error(`${count} devices that have not synced are wanted, there are ${this.#fresh.length}`);
    return this.#fresh.splice(0, count);
  }
}

const pace =
  (perSecond: number | null) =>
  (n: number): number =>
    perSecond === null ? 0 : (n / perSecond) * 1000;

const deviceOf = (devices: readonly Device[], n: number): Device => {
  const device = devices[n % devices.length];
  if (device === undefined) throw new Error('a fleet without devices');
  return device;
};
