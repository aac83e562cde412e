import {expect, test} from '@jest/globals';
import {UNSEEN} from '../api/v1alpha1/status.ts';
import {decodeRegion} from './region.ts';

const decode = (status: unknown) =>
  decodeRegion({
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: 'eu', namespace: 'sync', uid: 'u', resourceVersion: '1'},
    status,
  }).status;

const condition = (type: string, status: string) => ({
  type,
  status,
  reason: 'Because',
  message: 'so',
  lastTransitionTime: '2026-03-01T12:00:00Z',
});

test('of a status that somebody else has written, what can be read counts', () => {
  const version = {current: '1.2.3', target: '1.2.3', operator: '1.2.3'};
  const good = condition('DatabaseReady', 'True');
  expect(
    decode({
      phase: 'Hibernating',
      observedGeneration: 3,
      version,
      deviceApi: 'many',
      conditions: [condition('Ready', 'Perhaps'), good],
    }),
  ).toEqual({observedGeneration: 3, version, conditions: [good]});
});

test.each([[undefined], [null], ['x'], [[]], [{observedGeneration: UNSEEN}]])(
  'a status that is %p counts as none',
  (status) => {
    expect(decode(status)).toEqual({});
  },
);
