import {Agent, request} from 'node:http';
import {setTimeout as pause} from 'node:timers/promises';
import type {HostileDevice} from './region.ts';
import type {Random} from './random.ts';
import type {Trick} from './tricks.ts';

interface Spree {
  readonly port: number;
  readonly device: HostileDevice;
  readonly random: Random;
  readonly tricks: readonly Trick[];
  /** Asked before each call. */
  readonly goesOn: (haul: Haul) => boolean;
  readonly pauseMs: number;
}

/** What the device got done. */
export interface Haul {
  /** Numbers that were taken. */
  readonly taken: Set<number>;
  calls: number;
  /** What all that was taken counts (docs/api/device.md). */
  chargedBytes: number;
  readonly statuses: Record<string, number>;
  /** The last call was refused because of what the device has stored. */
  isFull: boolean;
}

const FULL = /a day stored/;

/** The texts of tricks have no commas and brackets. */
const chargeOf = (body: string, records: number): number =>
  Buffer.byteLength(body) + 10 * (body.match(/[,[{]/g)?.length ?? 0) + 256 * records + 512;

/** One hostile device that calls as it likes, one call after the other. */
export const goOn = async ({port, device, random, tricks, goesOn, pauseMs}: Spree): Promise<Haul> => {
  const agent = new Agent({keepAlive: true, maxSockets: 1});
  const haul: Haul = {taken: new Set(), calls: 0, chargedBytes: 0, statuses: {}, isFull: false};
  let used = 0;
  while (goesOn(haul)) {
    const {batchSeq = used + 1, members, records = '[]'} = random.pick(tricks).make(random, used);
    const envelope = JSON.stringify({epoch: 'e1', batchSeq, mode: 'delta', ...members});
    const body = `${envelope.slice(0, -1)},"records":${records}}`;
    const {status, text} = await send(agent, port, device, body);
    haul.calls += 1;
    haul.statuses[status] = (haul.statuses[status] ?? 0) + 1;
    if ((status === 200 || status === 422) && batchSeq > 0 && text.includes('"accepted"')) {
      haul.taken.add(batchSeq);
      haul.chargedBytes += chargeOf(body, (JSON.parse(records) as readonly unknown[]).length);
      used = Math.max(used, batchSeq);
    }
    haul.isFull = status === 429 && FULL.test(text);
    if (pauseMs > 0 || status === 409) await pause(Math.max(pauseMs, 5));
  }
  agent.destroy();
  return haul;
};

const send = (
  agent: Agent,
  port: number,
  {deviceId, secret}: HostileDevice,
  body: string,
): Promise<{readonly status: number; readonly text: string}> =>
  new Promise((resolve, reject) => {
    const headers = {authorization: `Bearer ps_${deviceId}.${secret}`, 'content-length': Buffer.byteLength(body)};
    const sent = request({agent, port, host: '127.0.0.1', method: 'POST', path: '/v1/sync', headers}, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => resolve({status: answer.statusCode ?? 0, text}));
    });
    sent.on('error', reject);
    sent.end(body);
  });
