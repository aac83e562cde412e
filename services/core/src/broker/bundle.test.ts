import {describe, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {type BundleItem, decodeBundle, encodeBundle} from './bundle.ts';

const itemArb: fc.Arbitrary<BundleItem> = fc.record({
  meta: fc.record({
    deviceId: fc.uuid(),
    deviceKey: fc.nat(),
    slot: fc.nat(1023),
    epoch: fc.integer({min: 1, max: 1e6}),
    batchSeq: fc.integer({min: 1}),
    contentHash: fc.uint8Array({minLength: 32, maxLength: 32}).map((bytes) => Buffer.from(bytes).toString('hex')),
    receivedAt: fc.nat(),
    receivedDay: fc.constant('2026-01-31'),
    mode: fc.constantFrom('delta', 'full'),
    reason: fc.option(fc.string({unit: 'grapheme'})),
    bad: fc.array(fc.nat(500)),
  }),
  payload: fc.uint8Array({maxLength: 300}).map((bytes) => Buffer.from(bytes)),
});
const itemsArb = fc.array(itemArb, {minLength: 1, maxLength: 8});

describe('a bundle', () => {
  test('gives back what was put in, byte for byte', () => {
    fc.assert(
      fc.property(itemsArb, (items) => {
        expect(decodeBundle(encodeBundle(items))).toEqual({items, wrong: []});
      }),
    );
  });

  test('that is packed anew keeps what a newer release says of its items', () => {
    fc.assert(
      fc.property(itemsArb, fc.string(), (items, said) => {
        const newer = items.map(({meta, payload}) => ({payload, meta: {...meta, ofTheNextRelease: said}}));
        const again = decodeBundle(encodeBundle(decodeBundle(encodeBundle(newer)).items)).items;
        expect(again.map(({meta}) => meta)).toEqual(newer.map(({meta}) => meta));
      }),
    );
  });

  test('that lost or gained bytes is refused, never misread', () => {
    fc.assert(
      fc.property(itemsArb, fc.nat(), fc.boolean(), (items, cut, longer) => {
        const whole = encodeBundle(items);
        const broken = longer ? Buffer.concat([whole, Buffer.from([0])]) : whole.subarray(0, cut % whole.length);
        expect(() => decodeBundle(broken)).toThrow(/bundle/);
      }),
    );
  });

  test('carries the trace of a batch, and leaves out what is none', () => {
    const [item] = fc.sample(itemArb, 1);
    if (item === undefined) throw new Error('no item was made');
    const traceOf = (trace: string) =>
      decodeBundle(encodeBundle([{...item, meta: {...item.meta, trace}}])).items[0]?.meta.trace;
    expect([traceOf('00-a-b-01'), traceOf('x'.repeat(1000))]).toEqual(['00-a-b-01', undefined]);
  });

  test('with an item that is wrong gives the others, and that one as a bundle of its own', () => {
    fc.assert(
      fc.property(itemsArb, itemArb, fc.nat(8), (items, bad, at) => {
        const withBad = [...items.slice(0, at), {...bad, meta: {...bad.meta, slot: 1024}}, ...items.slice(at)];
        const bundle = decodeBundle(encodeBundle(withBad));
        expect(bundle.items).toEqual(items);
        expect(bundle.wrong).toMatchObject([{reason: expect.stringMatching(/slot/)}]);
        const kept = bundle.wrong.map(({content}) => decodeBundle(content));
        expect(kept).toMatchObject([{items: [], wrong: [{content: bundle.wrong[0]?.content}]}]);
        expect(bundle.wrong[0]?.content.subarray(-bad.payload.length || Infinity)).toEqual(bad.payload);
      }),
    );
  });

  test.each([
    [2, 'unavailable'],
    [0, 'invalid'],
    ['1', 'invalid'],
  ])('of version %p is %s', (v, code) => {
    const header = Buffer.from(JSON.stringify({v, items: []}));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(header.length);
    expect(() => decodeBundle(Buffer.concat([length, header]))).toThrow(expect.objectContaining({code}));
  });
});
