import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import type {OutboxEntry} from '../client/outbox.ts';
import {loadIdentity} from './identity-file.ts';
import {memoryOn} from './memory.ts';
import {openSpool} from './spool.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pisync-memory-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

test('writes nothing more down before the identity that had no room', async () => {
  const spool = await openSpool(folder, {maxQueued: 10, compactBytes: 1000});
  let isFull = true;
  const full = () => Promise.reject(Object.assign(new Error('no space left on device'), {code: 'ENOSPC'}));
  const memory = memoryOn(folder, {...spool, besides: (write) => (isFull ? full() : spool.besides(write))});
  const secret = 's'.repeat(43);
  const current = {secret, deviceId: 'd', credential: `ps_d.${secret}`, epoch: 'e2', region: 'eu'};
  const identity = {hardwareId: 'pi-1', current};
  const entry: OutboxEntry = {op: 'reading', reading: {k: 'n', t: 1, d: {}}};
  await expect(memory.saveIdentity(identity)).rejects.toThrow('no space left');
  await expect(memory.append([entry])).rejects.toThrow('no space left');
  isFull = false;
  await memory.append([entry]);
  expect(await loadIdentity(folder)).toEqual(identity);
  await spool.close();
  const again = await openSpool(folder, {maxQueued: 10, compactBytes: 1000});
  expect(again.outbox.queued).toBe(1);
  await again.close();
});
