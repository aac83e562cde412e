import {expect, test} from '@jest/globals';
import {AppError} from '../errors/app-error.ts';
import {databaseFault, isLostConnection} from './database-fault.ts';

const fault = (code: string, message = 'x', more: object = {}) => Object.assign(new Error(message), {code, ...more});

test.each([
  ['a server that refuses', fault('ECONNREFUSED'), 'systemic'],
  ['a server that shuts down', fault('57P01'), 'systemic'],
  ['a deadlock', fault('40P01'), 'systemic'],
  ['a full disk', fault('53100'), 'systemic'],
  ['a schema older than the code', fault('42703'), 'systemic'],
  ['a connection lost while waiting', new Error('Connection terminated unexpectedly'), 'systemic'],
  ['a connection that was not made in time', new Error('timeout expired'), 'systemic'],
  [
    'both addresses of a host that refuse',
    new AggregateError([fault('ECONNREFUSED'), fault('ECONNREFUSED')]),
    'systemic',
  ],
  ['no partition for a day', fault('23514', 'no partition of relation "record" found for row'), 'missing-partition'],
  [
    'the same in German',
    fault('23514', 'keine Partition von Relation »record« für die Zeile gefunden'),
    'missing-partition',
  ],
  ['a shard whose credentials are not mounted', new AppError('shard-unavailable', 'x'), 'systemic'],
  ['a value out of range', fault('22003'), 'permanent'],
  ['a check that has a name', fault('23514', 'violates', {constraint: 'record_check'}), 'permanent'],
  ['a document too deep', fault('54001'), 'permanent'],
  ['a key that is there already', fault('23505', 'duplicate key', {constraint: 'receipt_pkey'}), 'unknown'],
  ['an error of our own', fault('P0001'), 'unknown'],
  ['something that is no error', 'text', 'unknown'],
])('%s', (_, error, expected) => {
  expect(databaseFault(error)).toBe(expected);
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
