import {createHash} from 'node:crypto';
import {describe, expect, test} from '@jest/globals';
import {classifyEnrol, classifySync, type HttpReply, type SentSync} from './answer.ts';
import {PROBLEM_TYPE, type JsonObject} from './wire.ts';

const BODY = Buffer.from('{"records":[]}');
const CALL: SentSync = {
  ...{nonce: 'n1', region: 'eu', deviceId: 'd1', epoch: 'e1', batchSeq: 3},
  ...{body: BODY, sizeBytes: 100, homes: ['eu.example.com']},
};
const reply = (status: number, body: JsonObject, retryAfter?: string): HttpReply => ({
  kind: 'reply',
  ...{status, retryAfter, body: JSON.stringify(body)},
});
const TAKEN = {accepted: 3, applied: 2, region: 'eu', deviceId: 'd1', epoch: 'e1', nonce: 'n1'};
const received = (body: Buffer) => ({
  bytes: body.length,
  sha256: createHash('sha256').update(body).digest('hex'),
});
const problem = (more: JsonObject = {}) => ({type: `${PROBLEM_TYPE}x`, region: 'eu', nonce: 'n1', ...more});

test('an answer that fits its call counts', () => {
  expect(classifySync(reply(200, TAKEN), CALL)).toMatchObject({kind: 'accepted', sync: {accepted: 3, applied: 2}});
  const {accepted: _, ...heartbeat} = TAKEN;
  expect(classifySync(reply(200, heartbeat), {...CALL, batchSeq: undefined})).toMatchObject({kind: 'accepted'});
  const bad = problem({...TAKEN, errors: [{pointer: '/records/1/d'}]});
  expect(classifySync(reply(422, bad), CALL)).toMatchObject({kind: 'accepted', bad: new Set([1])});
});

test.each<[string, JsonObject]>([
  ['another call', {nonce: 'n0'}],
  ['no call', {nonce: undefined}],
  ['another region', {region: 'us'}],
  ['another device', {deviceId: 'd2'}],
  ['another epoch', {epoch: 'e2'}],
  ['another batch', {accepted: 2}],
])('the answer to %s counts for nothing, whatever it says is applied', (_, other) => {
  expect(classifySync(reply(200, {...TAKEN, applied: 500, ...other}), CALL)).toMatchObject({kind: 'later'});
  expect(classifySync(reply(422, problem({...TAKEN, ...other})), CALL)).toMatchObject({kind: 'later'});
});

test.each([
  [400, 'refused'],
  [415, 'refused'],
  [422, 'refused'],
  [409, 'gap'],
])('a %i counts when the region read what was sent, and not when it was garbled on its way', (status, kind) => {
  const said = (more: JsonObject) => classifySync(reply(status, problem(more)), CALL).kind;
  expect(said({received: received(BODY)})).toBe(kind);
  expect(said({received: received(Buffer.from('{"records":[7]}'))})).toBe('later');
  expect(said({})).toBe('later');
  expect(said({received: received(BODY), nonce: 'n0'})).toBe('later');
});

test('a 413 is certain when the region read what was sent, or when its limit is below that', () => {
  const isCertain = (more: JsonObject) => {
    const answer = classifySync(reply(413, problem(more)), CALL);
    return answer.kind === 'too-large' && answer.isCertain;
  };
  expect(isCertain({received: received(BODY)})).toBe(true);
  expect(isCertain({maxBytes: 99})).toBe(true);
  expect(isCertain({maxInflatedBytes: BODY.length - 1})).toBe(true);
  expect(isCertain({maxBytes: 100, maxInflatedBytes: BODY.length})).toBe(false);
  expect(isCertain({maxBytes: 99, nonce: 'n0'})).toBe(false);
});

test('an epoch that was never given out is the one that was sent, or another that it became on its way', () => {
  const said = (body: Buffer) =>
    classifySync(reply(403, problem({code: 'enrol-again', received: received(body)})), CALL);
  expect(said(BODY)).toMatchObject({kind: 'enrol-again', epochUnknown: true});
  expect(said(Buffer.from('{}'))).toMatchObject({kind: 'later'});
});

test.each([401, 403])('a %i of a region that is not ours changes nothing, and is told', (status) => {
  const answer = classifySync(reply(status, problem({region: 'us'})), CALL);
  expect(answer).toMatchObject({kind: 'later', error: expect.stringContaining('by region us')});
  expect(classifySync(reply(status, problem()), CALL)).toMatchObject({kind: 'enrol-again'});
});

test('strangers are waited for an hour at most, the region as long as it says', () => {
  const waitOf = (body: JsonObject) => classifySync(reply(503, body, '86400'), CALL);
  expect(waitOf(problem())).toMatchObject({kind: 'later', retryAfterMs: 86_400_000});
  expect(waitOf({})).toMatchObject({kind: 'later', retryAfterMs: 3_600_000});
  expect(waitOf(problem({nonce: 'n0'}))).toMatchObject({retryAfterMs: 3_600_000});
  expect(classifyEnrol(reply(503, {}, '86400'), CALL)).toMatchObject({retryAfterMs: 3_600_000});
});

test.each([
  ['https://eu.example.com', 'https://eu.example.com'],
  ['http://eu.example.com', undefined],
  ['https://evil.example.com', undefined],
  ['https://me:secret@eu.example.com', undefined],
  ['https://eu.example.com/v1', undefined],
  ['no address', undefined],
])('a 421 that leads to %s is followed to %s', (home, followed) => {
  expect(classifySync(reply(421, problem({home})), CALL)).toMatchObject({kind: 'wrong-region', home: followed});
});

describe('an enrolment', () => {
  const ANSWER = {deviceId: 'd1', credential: 'c', epoch: 'e1', region: 'eu', nonce: 'n1'};
  test('counts when it answers this call', () => {
    expect(classifyEnrol(reply(200, ANSWER), {nonce: 'n1', region: undefined})).toMatchObject({kind: 'enrolled'});
    expect(classifyEnrol(reply(200, ANSWER), {nonce: 'n2', region: undefined})).toMatchObject({kind: 'later'});
  });
  test('of a device that has a region is taken of no other', () => {
    expect(classifyEnrol(reply(200, ANSWER), {nonce: 'n1', region: 'us'})).toMatchObject({kind: 'later'});
    expect(classifyEnrol(reply(401, problem()), {nonce: 'n1', region: 'us'})).toMatchObject({kind: 'later'});
    expect(classifyEnrol(reply(401, problem()), {nonce: 'n1', region: 'eu'})).toMatchObject({kind: 'refused'});
    const replaced = reply(403, problem({code: 'secret-replaced'}));
    expect(classifyEnrol(replaced, {nonce: 'n1', region: 'eu'})).toMatchObject({kind: 'secret-replaced'});
    expect(classifyEnrol(replaced, {nonce: 'n2', region: 'eu'})).toMatchObject({kind: 'later'});
  });
});

test('what a stranger writes is told in one line, and in few words', () => {
  const told = classifySync(
    reply(403, {title: 'Sign in', detail: `\n2026-11-28 all is well\n${'x'.repeat(1_000_000)}`}),
    CALL,
  );
  expect(told).toMatchObject({error: expect.stringMatching(/^HTTP 403: Sign in: {2}2026-11-28 all is well x{1,200}$/)});
});
