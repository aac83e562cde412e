import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {createByteGate} from './byte-gate.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('whoever comes enters in turn, and together they are never more than fit, unless one is so alone', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({min: 1, max: 15}), {maxLength: 30}), async (sizes) => {
      const gate = createByteGate(10);
      const entered: number[] = [];
      const inside: {readonly bytes: number; readonly leave: () => void}[] = [];
      for (const [index, bytes] of sizes.entries()) {
        void gate.enter(bytes).then((leave) => {
          entered.push(index);
          inside.push({bytes, leave});
        });
      }
      for (let turn = 0; turn <= sizes.length; turn++) {
        await settled();
        const sum = inside.reduce((total, {bytes}) => total + bytes, 0);
        expect(inside.length <= 1 || sum <= 10).toBe(true);
        inside.shift()?.leave();
      }
      expect(entered).toEqual([...sizes.keys()]);
    }),
    {numRuns: 30},
  );
});
