import {expect, test} from '@jest/globals';
import {statusCutoffs} from './device-status.ts';

test('a device is late after a day and two hours, silent after three days', () => {
  const now = Date.UTC(2026, 0, 10, 12);
  expect(statusCutoffs(now)).toEqual({
    lateBeforeMs: Date.UTC(2026, 0, 9, 10),
    silentBeforeMs: Date.UTC(2026, 0, 7, 12),
  });
});
