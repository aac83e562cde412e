import {describe, expect, test} from '@jest/globals';
import {boundedFields, boundedText} from './audit-entry.ts';

describe('what the audit keeps of a change', () => {
  test('is what it was, where it is short', () => {
    const expiresAt = new Date('2027-01-01T00:00:00Z');
    const text = boundedFields({
      name: 'pond',
      groups: ['a', 'b'],
      tags: {site: 'oak'},
      expiresAt,
      maxDevices: 3,
      group: null,
    });
    expect(JSON.parse(text ?? '')).toEqual({
      name: 'pond',
      groups: ['a', 'b'],
      tags: {site: 'oak'},
      expiresAt: '2027-01-01T00:00:00.000Z',
      maxDevices: 3,
      group: null,
    });
    expect(boundedFields(undefined)).toBeNull();
  });

  test('is cut where it is long', () => {
    const long = 'x'.repeat(10_000);
    const text = boundedFields({name: long, groups: Array.from({length: 1000}, () => 'g'), tags: {[long]: long}});
    const parsed = JSON.parse(text ?? '') as {name: string; groups: string[]};
    expect([parsed.name.length, parsed.groups.length]).toEqual([257, 64]);
    const tags = Object.fromEntries(Array.from({length: 64}, (_, index) => [`${index}${long}`, long]));
    expect(JSON.parse(boundedFields({tags}) ?? '')).toEqual({leftOutBytes: expect.any(Number) as unknown});
  });

  test('has the whole of a filter', () => {
    const filter = 'x'.repeat(5_000);
    expect(JSON.parse(boundedFields({name: 'dry', filter}) ?? '')).toEqual({name: 'dry', filter});
  });

  test('can be stored, whatever it was', () => {
    expect(boundedText(`a\0\ud800b`)).toBe('a\ufffd\ufffdb');
    expect(boundedText(`${'x'.repeat(255)}🌳`).isWellFormed()).toBe(true);
  });
});
