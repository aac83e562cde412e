/** Whoever has the enrolment token of a group, or a device of it, touches nothing of another group. */
import {randomBytes, randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import {type HostileRegion, startHostileRegion} from './region.ts';

interface Answer {
  readonly status: number;
  // Of several kinds of answers.
  readonly json: Readonly<Record<string, unknown>>;
}

interface Enrolled extends Answer {
  readonly hardwareId: string;
  readonly deviceId: string;
  readonly authorization: string;
}

let region: HostileRegion;
let person: string;
beforeAll(async () => {
  region = await startHostileRegion();
  [person = ''] = await region.makeTokens(1);
}, 120_000);
afterAll(() => region.close(), 60_000);

const call = async (url: string, authorization: string, body?: unknown): Promise<Answer> => {
  const answer = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {authorization, 'content-type': 'application/json'},
    ...(body === undefined ? {} : {body: JSON.stringify(body)}),
  });
  return {status: answer.status, json: (await answer.json()) as Answer['json']};
};

const ofDevices = (path: string): string => `http://127.0.0.1:${region.services['device-api'].port}${path}`;
const ofPeople = (path: string): string => `http://127.0.0.1:${region.services['admin-api'].port}${path}`;

const enrol = async (token: string, hardwareId: string = randomUUID(), claims: object = {}): Promise<Enrolled> => {
  const secret = randomBytes(32).toString('base64url');
  const answer = await call(ofDevices('/v1/enroll'), `Bearer ${token}`, {hardwareId, secret, ...claims});
  const {deviceId, credential} = answer.json;
  return {...answer, hardwareId, deviceId: String(deviceId), authorization: `Bearer ${String(credential)}`};
};

const syncOf = (batchSeq: number, members: object = {}): object => ({
  epoch: 'e1',
  batchSeq,
  mode: 'delta',
  state: {v: batchSeq},
  records: [{s: batchSeq, k: 'reading', d: {celsius: 20}}],
  ...members,
});

const appliedOf = async (authorization: string): Promise<unknown> =>
  (await call(ofDevices('/v1/sync'), authorization, {epoch: 'e1', batchSeq: 0, mode: 'heartbeat'})).json['applied'];

/** Ids that a list of people says are in a group. */
const listed = async (query: string): Promise<readonly string[] | number> => {
  const {status, json} = await call(ofPeople(`/api/v1/devices?limit=500&${query}`), `Bearer ${person}`);
  if (status !== 200) return status;
  return (json['data'] as readonly {readonly id: string}[]).map(({id}) => id).toSorted();
};

test('two groups cannot touch each other', async () => {
  const [trams, ponds] = [`trams-${randomUUID()}`, `ponds-${randomUUID()}`];
  const [ours, theirs] = [await region.makeGroup(trams), await region.makeGroup(ponds)];
  const victim = await enrol(theirs.token);
  expect(victim.status).toBe(200);
  // Whatever it says of itself, it is in the group of its token.
  const claims = {
    name: `group=="${ponds}"`,
    model: ponds,
    group: ponds,
    groupId: theirs.groupId,
    tags: {group: ponds, groupId: String(theirs.groupId)},
  };
  const hostile = [await enrol(ours.token), await enrol(ours.token, randomUUID(), claims)];
  expect(hostile.map(({status}) => status)).toEqual([200, 200]);
  const [thief, liar] = hostile as [Enrolled, Enrolled];

  // By its hardware id.
  expect((await enrol(ours.token, victim.hardwareId)).status).toBe(403);
  expect((await enrol(ours.token, victim.hardwareId, claims)).status).toBe(403);
  // By its name, with a secret of one's own.
  const secret = thief.authorization.split('.').at(-1) ?? '';
  const forged = `Bearer ps_${victim.deviceId}.${secret}`;
  expect((await call(ofDevices('/v1/sync'), forged, syncOf(1))).status).toBe(401);
  expect((await call(ofDevices('/v1/sync/receipts?after=0'), forged)).status).toBe(401);
  // By what it says in its own name.
  const lie = {deviceId: victim.deviceId, group: ponds, state: {group: ponds, deviceId: victim.deviceId}};
  expect((await call(ofDevices('/v1/sync'), liar.authorization, syncOf(1, lie))).status).toBe(200);
  await until(
    'the batch of the liar',
    () => appliedOf(liar.authorization),
    (applied) => applied === 1,
  );
  expect(await appliedOf(victim.authorization)).toBe(0);

  // A command of the other is not closed by who names it.
  const asked = await call(ofPeople(`/api/v1/devices/${victim.deviceId}/sync`), `Bearer ${person}`, {
    syncType: 'delta',
  });
  expect(asked.status).toBe(202);
  const commands = async (): Promise<readonly {readonly id: string; readonly state: string}[]> =>
    (await call(ofPeople(`/api/v1/devices/${victim.deviceId}/commands`), `Bearer ${person}`)).json['data'] as never;
  const [command] = await until('the command', commands, (seen) => seen.length === 1);
  const acks = {pull: {cmdAcks: [command?.id]}};
  expect((await call(ofDevices('/v1/sync'), liar.authorization, syncOf(2, acks))).status).toBe(200);
  await until(
    'the batch of the liar',
    () => appliedOf(liar.authorization),
    (applied) => applied === 2,
  );
  expect((await commands()).map(({state}) => state)).not.toContain('done');

  // People see each in its group, however they ask.
  const [inTrams, inPonds] = [hostile.map(({deviceId}) => deviceId).toSorted(), [victim.deviceId]];
  const quoted = (text: string): string => encodeURIComponent(JSON.stringify(text));
  expect(await listed(`group=${trams}`)).toEqual(inTrams);
  expect(await listed(`group=${ponds}`)).toEqual(inPonds);
  expect(await listed(`filter=group==${quoted(ponds)}`)).toEqual(inPonds);
  expect(await listed(`filter=group==${quoted(ponds)};status==on_time`)).toEqual([]);
  for (const text of [
    `${ponds}' or '1'='1`,
    `${ponds}" or "1"="1`,
    `%`,
    `${ponds.slice(0, 8)}%`,
    ponds.toUpperCase(),
    `${ponds} `,
  ]) {
    expect(await listed(`filter=group==${quoted(text)}`)).toEqual([]);
  }
  expect(await listed(`group=${trams}&filter=group==${quoted(ponds)}`)).toEqual([]);
  expect(await listed(`group=${trams}&group=${ponds}`)).toBe(400);
  // The cursor of one list leads nowhere in another.
  const first = await call(ofPeople(`/api/v1/devices?limit=1&group=${trams}`), `Bearer ${person}`);
  const cursor = encodeURIComponent(String(first.json['nextCursor']));
  expect(await listed(`group=${ponds}&cursor=${cursor}`)).toBe(400);
}, 120_000);
