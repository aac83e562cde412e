import {Agent, request} from 'node:http';
import {setTimeout as pause} from 'node:timers/promises';
import type {Api, Loot} from './targets.ts';

/** Devices that sync, or people who read lists, while others are hostile. */
export interface Innocence {
  readonly api: Api;
  readonly port: number;
  readonly those: Loot;
  readonly perSecond: number;
  readonly durationMs: number;
  /** The number of each device's first batch. */
  readonly firstBatch: number;
}

export interface Experience {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** The number of each device's next batch. */
  readonly nextBatch: number;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const RECORDS = 5;

const syncOf = ({deviceId, secret}: Loot['devices'][number], batchSeq: number): Call => {
  const records = Array.from({length: RECORDS}, (_, index) => ({
    s: batchSeq * RECORDS + index,
    k: 'weather',
    t: 1_763_890_000_000 + batchSeq * 60_000,
    d: {temperatureC: ((batchSeq * 7 + index) % 400) / 10, pressureHpa: 980 + (batchSeq % 500) / 10},
  }));
  return {
    method: 'POST',
    path: '/v1/sync',
    headers: {authorization: `Bearer ps_${deviceId}.${secret}`, 'content-type': 'application/json'},
    body: JSON.stringify({
      epoch: 'e1',
      batchSeq,
      mode: 'delta',
      reason: 'scheduled',
      state: {fw: '1.2', uptimeS: batchSeq},
      records,
    }),
  };
};

const listOf = (token: string): Call => ({
  method: 'GET',
  path: '/api/v1/devices?limit=50',
  headers: {authorization: `Bearer ${token}`},
  body: '',
});

const send = (agent: Agent, port: number, {method, path, headers, body}: Call): Promise<string> =>
  new Promise((resolve) => {
    const sent = request(
      {agent, port, host: '127.0.0.1', method, path, headers: {...headers, 'content-length': Buffer.byteLength(body)}},
      (answer) => {
        answer.resume();
        answer.on('end', () => resolve(String(answer.statusCode)));
        answer.on('error', () => resolve('broken'));
      },
    );
    sent.on('error', ({message}) => resolve(message));
    sent.end(body);
  });

const at = (sorted: readonly number[], share: number): number =>
  Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10;

/** Open loop: calls are due at even distances, and one has waited since it was due. */
export const live = async ({api, port, those, perSecond, durationMs, firstBatch}: Innocence): Promise<Experience> => {
  const agent = new Agent({keepAlive: true});
  const statuses: Record<string, number> = {};
  const waits: number[] = [];
  const {devices, tokens} = those;
  const calls = Math.floor((durationMs / 1000) * perSecond);
  const callOf = (number: number): Call => {
    const device = devices[number % devices.length];
    const token = tokens[number % Math.max(1, tokens.length)];
    if (api === 'admin-api' && token !== undefined) return listOf(token);
    if (device === undefined) throw new Error('nobody is innocent');
    return syncOf(device, firstBatch + Math.floor(number / devices.length));
  };
  const beganMs = performance.now();
  const open: Promise<void>[] = [];
  for (let number = 0; number < calls; number++) {
    const dueMs = beganMs + (number / perSecond) * 1000;
    const earlyMs = dueMs - performance.now();
    if (earlyMs > 0) await pause(earlyMs);
    open.push(
      send(agent, port, callOf(number)).then((status) => {
        waits.push(performance.now() - dueMs);
        statuses[status] = (statuses[status] ?? 0) + 1;
      }),
    );
  }
  await Promise.all(open);
  agent.destroy();
  const sorted = waits.toSorted((a, b) => a - b);
  return {
    count: sorted.length,
    p50Ms: at(sorted, 0.5),
    p99Ms: at(sorted, 0.99),
    maxMs: at(sorted, 1),
    statuses,
    nextBatch: firstBatch + Math.ceil(calls / Math.max(1, devices.length)),
  };
};
