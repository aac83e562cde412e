import {expect, test} from '@jest/globals';
import fc from 'fast-check';
import {createByteGate} from './byte-gate.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

interface Visitor {
  readonly who: number;
  readonly bytes: number;
}

const visitors = fc.array(fc.record({who: fc.integer({min: 1, max: 3}), bytes: fc.integer({min: 1, max: 15})}), {
  maxLength: 30,
});
const sumOf = (some: readonly Visitor[]): number => some.reduce((total, {bytes}) => total + bytes, 0);

/** Lets all of them come at once and one after the other go. @returns the order in which they entered */
const visit = async (
  all: readonly Visitor[],
  shareBytes: number | undefined,
  look: (inside: readonly Visitor[]) => void,
): Promise<readonly Visitor[]> => {
  const gate = createByteGate(10, shareBytes);
  const entered: Visitor[] = [];
  const inside: (Visitor & {readonly leave: () => void})[] = [];
  for (const visitor of all) {
    void gate.enter(visitor.who, visitor.bytes).then((leave) => {
      entered.push(visitor);
      inside.push({...visitor, leave});
    });
  }
  for (let turn = 0; turn <= all.length; turn++) {
    await settled();
    look(inside);
    inside.shift()?.leave();
  }
  return entered;
};

test('whoever comes enters in turn, and together they are never more than fit, unless one is so alone', async () => {
  await fc.assert(
    fc.asyncProperty(visitors, async (all) => {
      const entered = await visit(all, undefined, (inside) =>
        expect(inside.length <= 1 || sumOf(inside) <= 10).toBe(true),
      );
      // Who is more than fits has more than its share as well, and is let in all the same.
      expect(entered).toHaveLength(all.length);
      for (const who of [1, 2, 3])
        expect(entered.filter((one) => one.who === who)).toEqual(all.filter((one) => one.who === who));
    }),
    {numRuns: 30},
  );
});

test('nobody is inside with more than its share, unless with one thing, and everybody enters', async () => {
  await fc.assert(
    fc.asyncProperty(visitors, async (all) => {
      const entered = await visit(all, 4, (inside) => {
        expect(inside.length <= 1 || sumOf(inside) <= 10).toBe(true);
        for (const who of [1, 2, 3]) {
          const own = inside.filter((one) => one.who === who);
          expect(own.length <= 1 || sumOf(own) <= 4).toBe(true);
        }
      });
      expect(entered).toHaveLength(all.length);
    }),
    {numRuns: 30},
  );
});

test('who has its share inside lets others pass, and nobody passes what has to be alone', async () => {
  const gate = createByteGate(10, 4);
  const entered: string[] = [];
  const enter = (name: string, who: number, bytes: number) =>
    gate.enter(who, bytes).then((leave) => {
      entered.push(name);
      return leave;
    });
  const leave = await enter('first', 1, 3);
  const second = enter('its second', 1, 3);
  await enter('another', 2, 3);
  void enter('alone', 3, 11);
  void enter('late', 2, 1);
  await settled();
  expect(entered).toEqual(['first', 'another']);
  leave();
  (await second)();
  await settled();
  expect(entered).toEqual(['first', 'another', 'its second']);
});
