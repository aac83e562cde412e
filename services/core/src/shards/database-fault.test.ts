import {expect, test} from '@jest/globals';
import {AppError} from '../errors/app-error.ts';
import {databaseFault, isLostConnection, scopeOf} from './database-fault.ts';

const fault = (code: string, message = 'x', more: object = {}) => Object.assign(new Error(message), {code, ...more});

test.each([
  ['a server that refuses', fault('ECONNREFUSED'), 'unheard', 'shard'],
  ['a network that forbids', fault('EPERM'), 'unheard', 'shard'],
  ['a name server that refuses', fault('EAI_FAIL'), 'unheard', 'shard'],
  ['a process without descriptors', fault('EMFILE'), 'unheard', 'shard'],
  ['a connection that was closed before it was written to', fault('ERR_STREAM_DESTROYED'), 'unheard', 'shard'],
  ['a number that no int4 holds, as node says it', fault('ERR_OUT_OF_RANGE'), 'unknown', 'batch'],
  ['an argument that node refuses', fault('ERR_INVALID_ARG_TYPE'), 'unknown', 'batch'],
  ['a server that shuts down', fault('57P01'), 'unheard', 'shard'],
  ['a deadlock', fault('40P01'), 'collision', 'row'],
  ['a full disk', fault('53100'), 'unable', 'shard'],
  ['a schema older than the code', fault('42703'), 'unable', 'shard'],
  ['a statement whose columns were changed', fault('0A000'), 'unable', 'shard'],
  ['a connection lost while waiting', new Error('Connection terminated unexpectedly'), 'unheard', 'shard'],
  ['a connection that was not made in time', new Error('timeout expired'), 'unheard', 'shard'],
  [
    'both addresses of a host that refuse',
    new AggregateError([fault('ECONNREFUSED'), fault('ECONNREFUSED')]),
    'unheard',
    'shard',
  ],
  [
    'no partition for a day',
    fault('23514', 'no partition of relation "record" found for row'),
    'missing-partition',
    'shard',
  ],
  [
    'the same in German',
    fault('23514', 'keine Partition von Relation »record« für die Zeile gefunden'),
    'missing-partition',
    'shard',
  ],
  ['a shard whose credentials are not mounted', new AppError('shard-unavailable', 'x'), 'ownerless', 'slot'],
  ['a value out of range', fault('22003'), 'values', 'batch'],
  ['a check that has a name', fault('23514', 'violates', {constraint: 'record_check'}), 'constraint', 'batch'],
  ['a document too deep', fault('54001'), 'values', 'batch'],
  ['a row too large, or no transaction ids left', fault('54000'), 'limit', 'shard'],
  ['a key that is there already', fault('23505', 'duplicate key', {constraint: 'receipt_pkey'}), 'unknown', 'batch'],
  ['an error of our own', fault('P0001'), 'unknown', 'batch'],
  ['a lock that somebody holds', fault('55P03'), 'held', 'row'],
  ['a page that cannot be read', fault('XX001'), 'damaged', 'row'],
  ['a file that cannot be read', fault('58030'), 'damaged', 'row'],
  ['a broker that does not answer', new AppError('broker-timeout', 'x'), 'broker', 'broker'],
  ['something that is no error', 'text', 'unknown', 'batch'],
] as const)('%s', (_, error, expected, scope) => {
  const found = databaseFault(error);
  expect([found, scopeOf(found)]).toEqual([expected, scope]);
});

test.each([
  ['ended by the server', fault('57P01'), true],
  ['reset', fault('ECONNRESET'), true],
  ['closed', new Error('Connection terminated unexpectedly'), true],
  ['never made', new Error('Connection terminated due to connection timeout'), false],
  ['refused', fault('ECONNREFUSED'), false],
  ['refused by a server that starts', fault('57P03'), false],
  ['without an answer in time', new Error('Query read timeout'), false],
])('a connection that was %s is lost: %p', (_, error, expected) => {
  expect(isLostConnection(error)).toBe(expected);
});
