import {expect, test} from '@jest/globals';
import {createServerClock} from './server-clock.ts';

const HOUR_MS = 3_600_000;
const SERVER_MS = Date.UTC(2026, 0, 10, 12);
const dateOf = (ms: number): string => new Date(ms).toUTCString();

test.each([-HOUR_MS, HOUR_MS, 5_000])('a clock that is ahead by %i ms says what the server does', (ahead) => {
  let changes = 0;
  const clock = createServerClock(() => SERVER_MS + ahead);
  const end = clock.watch(() => changes++);
  clock.note(dateOf(SERVER_MS));
  expect(clock.now()).toBe(SERVER_MS);
  clock.note(dateOf(SERVER_MS + 1000));
  expect([clock.now(), changes]).toEqual([SERVER_MS, 1]);
  end();
  clock.note(dateOf(SERVER_MS + HOUR_MS));
  expect(changes).toBe(1);
});

test.each([null, '', 'yesterday', dateOf(SERVER_MS - 2_000)])('%j changes nothing', (date) => {
  const clock = createServerClock(() => SERVER_MS);
  clock.note(date);
  expect(clock.now()).toBe(SERVER_MS);
});

test('a clock that is set right counts as right', () => {
  let ahead = HOUR_MS;
  const clock = createServerClock(() => SERVER_MS + ahead);
  clock.note(dateOf(SERVER_MS));
  ahead = 0;
  clock.note(dateOf(SERVER_MS));
  expect(clock.now()).toBe(SERVER_MS);
});
