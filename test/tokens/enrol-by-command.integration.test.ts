/** What the region gives to paste on a Raspberry Pi makes one a device, as it is but for folders of this machine. */
import {execFile} from 'node:child_process';
import {chmod, mkdtemp, readFile, rm, stat, writeFile} from 'node:fs/promises';
import {request} from 'node:http';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {text} from 'node:stream/consumers';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {ROOT} from '../e2e/kit/files.ts';
import {type HostileRegion, startHostileRegion} from '../hostile/region.ts';

let region: HostileRegion;
let admin: string;
let folder: string;

beforeAll(async () => {
  region = await startHostileRegion();
  admin = await readFile(join(region.shards.secretsDir, 'bootstrap', 'admin-token'), 'utf8');
  folder = await mkdtemp(join(tmpdir(), 'pisync-pi-'));
}, 120_000);

afterAll(async () => {
  await region.close();
  await rm(folder, {recursive: true});
}, 60_000);

/** By an address that leads to the devices' API by its port, as the two hosts of a region have one. */
const call = async (method: string, path: string, body?: object) => {
  const {promise, resolve, reject} = Promise.withResolvers<string>();
  const headers = {
    host: `127.0.0.1:${region.services['device-api'].port}`,
    authorization: `Bearer ${admin}`,
    'content-type': 'application/json',
  };
  request({method, path: `/api/v1${path}`, port: region.services['admin-api'].port, headers}, (response) => {
    text(response).then(resolve, reject);
  })
    .on('error', reject)
    .end(body === undefined ? undefined : JSON.stringify(body));
  return JSON.parse(await promise) as unknown;
};

test('the command beside a new enrolment token enrols the agent, which syncs, and the token says so', async () => {
  const {command, data} = (await call('POST', '/enrolment-tokens', {
    name: 'the pond',
    group: 'default',
    maxDevices: 1,
  })) as {readonly command: string; readonly data: {readonly id: string}};
  const sudo = join(folder, 'sudo');
  await writeFile(sudo, '#!/bin/sh\nexec "$@"\n');
  await chmod(sudo, 0o755);
  const here = command
    .replaceAll('/etc/pisync', join(folder, 'etc'))
    .replaceAll('/var/lib/pisync', join(folder, 'state'))
    .replaceAll('/opt/pisync', ROOT);
  const PATH = [folder, dirname(process.execPath), '/usr/bin', '/bin'].join(':');
  await promisify(execFile)('sh', ['-c', `${here} --once --hardware-id the-pi --name pond-1`], {env: {PATH}});
  expect((await stat(join(folder, 'etc', 'enrolment-token'))).mode & 0o777).toBe(0o600);
  expect(await call('GET', `/enrolment-tokens/${data.id}`)).toMatchObject({data: {devices: 1, state: 'used-up'}});
  expect(await call('GET', '/devices?group=default&fields=name,syncsTotal')).toMatchObject({
    data: [{name: 'pond-1', syncsTotal: 1}],
  });
}, 120_000);
