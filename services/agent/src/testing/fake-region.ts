/** The sync contract in memory, over real HTTP on loopback: what a region answers, and switches for what can go wrong. */
import {createHash} from 'node:crypto';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {gunzipSync} from 'node:zlib';
import {contentHash} from '../client/content.ts';
import {PROBLEM_TYPE, type DeviceRecord, type JsonObject, type SyncBody} from '../client/wire.ts';

export interface TakenBatch {
  readonly hash: string;
  readonly records: readonly DeviceRecord[];
  readonly state: JsonObject | undefined;
}

export interface FakeDevice {
  readonly deviceId: string;
  secret: string;
  /** Those that it had before. */
  readonly replaced: Set<string>;
  ordinal: number;
  /** By `epoch:batchSeq`. */
  readonly batches: Map<string, TakenBatch>;
  readonly conflicts: string[];
}

/** What to do instead of answering; the second form answers after the batch was taken, or not at all. */
export type Trouble =
  | {
      readonly kind: 'status';
      readonly status: number;
      /** Of a problem of the region; undefined for what a proxy answers. */
      readonly type?: string | undefined;
      readonly body?: JsonObject;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | {readonly kind: 'take-and-hang-up'}
  | {readonly kind: 'hang-up'}
  | {readonly kind: 'silence'};

export interface FakeRegion {
  readonly url: string;
  readonly name: string;
  /** Enrols. */
  token: string;
  readonly devices: Map<string, FakeDevice>;
  readonly seen: {readonly path: string; readonly host: string | undefined; readonly body: JsonObject}[];
  /** Asked for each call, before anything else. */
  trouble: (path: string, body: JsonObject) => Trouble | undefined;
  /** Added to each sync answer. */
  extra: (body: SyncBody) => JsonObject;
  /** Batches up to here are reported as applied; by default all that are contiguous. */
  applied: ((device: FakeDevice, epoch: string) => number) | undefined;
  close(): Promise<void>;
}

/** Of a call, as {@link FakeRegion} tells of it. */
export const isBatch = (path: string, body: JsonObject): boolean => path === '/v1/sync' && body.mode !== 'heartbeat';

/** The body as sent; inflated where it is gzip, by its first bytes; and what stands in it, or nothing where it was garbled. */
const readBody = async (request: IncomingMessage): Promise<{plain: Buffer; json: JsonObject | undefined}> => {
  const chunks: Buffer[] = [];
  // Node's types say any for chunks; without an encoding they are Buffers.
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  try {
    const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
    try {
      // The client under test is the only caller.
      return {plain, json: JSON.parse(plain.toString('utf8')) as JsonObject};
    } catch {
      return {plain, json: undefined};
    }
  } catch {
    return {plain: bytes, json: undefined};
  }
};

const CREDENTIAL = /^Bearer ps_([^.]+)\.(.+)$/;

const contiguous = (device: FakeDevice, epoch: string): number => {
  let through = 0;
  while (device.batches.has(`${epoch}:${through + 1}`)) through += 1;
  return through;
};

export const startFakeRegion = async (name = 'fake'): Promise<FakeRegion> => {
  const devices = new Map<string, FakeDevice>();
  /** The calls under way, as answers name them. */
  const calls = new WeakMap<ServerResponse, {readonly nonce: string | null; readonly plain: Buffer}>();
  const reply = (
    response: ServerResponse,
    status: number,
    body: JsonObject,
    headers: Readonly<Record<string, string>> = {},
    isOurs = true,
  ): void => {
    const {nonce, plain} = calls.get(response) ?? {nonce: null, plain: Buffer.alloc(0)};
    const received = {bytes: plain.length, sha256: createHash('sha256').update(plain).digest('hex')};
    const binding = {region: name, nonce, ...(status < 300 ? {} : {received})};
    response.writeHead(status, {'content-type': 'application/json', ...headers});
    response.end(JSON.stringify(isOurs ? {...binding, ...body} : body));
  };

  const enrol = (request: IncomingMessage, response: ServerResponse, body: JsonObject): void => {
    if (request.headers.authorization !== `Bearer ${region.token}`) {
      reply(response, 401, {type: `${PROBLEM_TYPE}unauthenticated`, title: 'unknown enrolment token'});
      return;
    }
    const deviceId = createHash('md5').update(String(body.hardwareId)).digest('hex');
    const secret = String(body.secret);
    const device = devices.get(deviceId) ?? {
      deviceId,
      secret,
      ordinal: 1,
      batches: new Map(),
      conflicts: [],
      replaced: new Set(),
    };
    devices.set(deviceId, device);
    if (device.replaced.has(secret)) {
      reply(response, 403, {type: `${PROBLEM_TYPE}secret-replaced`, code: 'secret-replaced'});
      return;
    }
    if (device.secret !== secret) {
      device.replaced.add(device.secret);
      device.secret = secret;
      device.ordinal += 1;
    }
    reply(response, 200, {
      deviceId,
      credential: `ps_${deviceId}.${secret}`,
      epoch: `e${device.ordinal}`,
    });
  };

  const sync = (request: IncomingMessage, response: ServerResponse, body: SyncBody, hangUp: boolean): void => {
    const credential = CREDENTIAL.exec(request.headers.authorization ?? '');
    const device = devices.get(credential?.[1] ?? '');
    if (device === undefined || device.secret !== credential?.[2]) {
      reply(response, 401, {type: `${PROBLEM_TYPE}unauthenticated`, title: 'enrol again'});
      return;
    }
    if (Number(body.epoch.slice(1)) > device.ordinal) {
      reply(response, 403, {type: `${PROBLEM_TYPE}enrol-again`, code: 'enrol-again', title: 'no such epoch'});
      return;
    }
    const applied = (): number => (region.applied ?? contiguous)(device, body.epoch);
    let duplicate = false;
    let taken: JsonObject = {};
    if (body.mode !== 'heartbeat') {
      if (body.batchSeq > applied() + 64) {
        reply(response, 409, {type: `${PROBLEM_TYPE}batch-gap`, title: 'gap', expected: applied() + 1});
        return;
      }
      const key = `${body.epoch}:${body.batchSeq}`;
      const hash = contentHash(body.state, body.records);
      const known = device.batches.get(key);
      duplicate = known !== undefined;
      if (known === undefined) device.batches.set(key, {hash, records: body.records, state: body.state});
      else if (known.hash !== hash) device.conflicts.push(key);
      taken = {accepted: body.batchSeq, contentHash: hash};
    }
    if (hangUp) {
      request.socket.destroy();
      return;
    }
    const now = Date.now();
    reply(response, 200, {
      ...taken,
      deviceId: device.deviceId,
      epoch: body.epoch,
      applied: applied(),
      duplicate,
      continueNow: body.more,
      serverTime: now,
      nextSyncAt: now + 3600_000,
      policy: {maxRecords: 500, compress: 'gzip', backoff: {base: 0.001, cap: 0.01, edgeJitter: 0.001}},
      ...region.extra(body),
    });
  };

  const server: Server = createServer((request, response) => {
    void (async () => {
      const {pathname: path, searchParams} = new URL(request.url ?? '', 'http://region');
      const {plain, json: body} = await readBody(request);
      calls.set(response, {nonce: searchParams.get('nonce'), plain});
      if (body === undefined) {
        reply(response, 400, {type: `${PROBLEM_TYPE}malformed-json`, title: 'not JSON'});
        return;
      }
      region.seen.push({path, host: request.headers.host, body});
      const trouble = region.trouble(path, body);
      if (trouble?.kind === 'silence') return;
      if (trouble?.kind === 'hang-up') {
        request.socket.destroy();
        return;
      }
      if (trouble?.kind === 'status') {
        const type = 'type' in trouble ? trouble.type : `${PROBLEM_TYPE}trouble`;
        const deviceId = CREDENTIAL.exec(request.headers.authorization ?? '')?.[1];
        const ours = type === undefined ? {} : {type, deviceId, epoch: body.epoch};
        // What a proxy answers has no type, and knows nothing of the call.
        reply(response, trouble.status, {...ours, ...trouble.body}, trouble.headers, type !== undefined);
      } else if (path === '/v1/enroll') enrol(request, response, body);
      // The client under test is the only caller.
      else sync(request, response, body as unknown as SyncBody, trouble !== undefined);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  const region: FakeRegion = {
    url: `http://127.0.0.1:${port}`,
    name,
    token: 'enrol-me',
    devices,
    seen: [],
    trouble: () => undefined,
    extra: () => ({}),
    applied: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return region;
};
