import {describe, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {AppError} from '../errors/app-error.ts';
import {canonicalFilter, type FilterNode, parseFilter, valuesIn, writeFilter} from './parse-filter.ts';

/** As short as it can be read: `(a==1 and b!=2)`. */
const shown = (node: FilterNode | undefined): string => {
  if (node === undefined) return '';
  if (node.kind !== 'comparison') return `(${node.nodes.map(shown).join(` ${node.kind} `)})`;
  const {field, key, operator, values} = node;
  const texts = values.map(({text, isPrefix}) => `${text}${isPrefix ? '…' : ''}`);
  return `${field}${key === undefined ? '' : `[${key}]`}${operator}${texts.join('|')}`;
};

const faultOf = (text: string) => {
  try {
    return {tree: shown(parseFilter(text))};
  } catch (error) {
    if (error instanceof AppError) return error.errors[0];
    throw error;
  }
};

describe('the grammar of filters', () => {
  test.each([
    ['', ''],
    ['  ', ''],
    ['status==late', 'status==late'],
    ['a==1;b!=2,c==3', '((a==1 and b!=2) or c==3)'],
    ['a==1;(b!=2,c==3)', '(a==1 and (b!=2 or c==3))'],
    ['((a==1))', 'a==1'],
    ['a=in=(x, "y z" ,w*)', 'a==x|y z|w…'],
    ['a=out=(x)', 'a!=x'],
    [`a=in=(${'x,y,x*,"x",'.repeat(150)}y)`, 'a==x|y|x…'],
    ['name==green*', 'name==green…'],
    ['name=="green*"', 'name==green*'],
    ['tags.site==s-1;tags."a b"==c', '(tags[site]==s-1 and tags[a b]==c)'],
    ['t<-P2D;t=le=2026-01-02T03:04:05Z', '(t<-P2D and t<=2026-01-02T03:04:05Z)'],
    ['t>1;t=ge=2;t>=3;t<=4;t=lt=5;t=gt=6', '(t>1 and t>=2 and t>=3 and t<=4 and t<5 and t>6)'],
    [' group == "north & \\"south\\"; x" ; shard==2 ', '(group==north & "south"; x and shard==2)'],
    [String.raw`a=='it\'s'`, "a==it's"],
  ])('reads %s', (text, tree) => {
    expect(faultOf(text)).toEqual({tree});
  });

  test.each([
    ['status=late', 7, /"=late" where an operator/],
    ['status=foo=late', 7, /no operator =foo=/],
    ['status==late;;', 14, /";" where a field/],
    ['status==late;', 14, /ends where a field/],
    ['status==', 9, /ends where a value/],
    ['group==a b', 10, /"b" where ; or , or the end/],
    ['(a==1', 6, /ends where ; or , or \)/],
    ['a==1)', 5, /"\)" where/],
    ['a=in=x', 6, /"x" where \( and a list/],
    ['a=in=(x', 8, /ends where , or \)/],
    ['a=="\\x"', 4, /not written as JSON/],
    ['a=="x', 4, /""x" where a value/],
    ['a==*x', 4, /\* that is not at the end/],
    ['a=="\\u0000"', 4, /NUL/],
    ['a=="\\ud800"', 4, /half of a character/],
    ['tags."\\u0000"==x', 6, /NUL/],
    ["tags.'\u0000'==x", 6, /NUL/],
    ['tags.\ud800==x', 6, /half of a character/],
    ['x'.repeat(2001), 2001, /after 2000 characters/],
    [Array.from({length: 51}, () => 'a==1').join(';'), 254, /more than 50 values/],
    [`a=in=(${Array.from({length: 50}, (_, i) => `${i}`).join(',')});a==x`, 151, /more than 50 values/],
    [`${'('.repeat(9)}a==1${')'.repeat(9)}`, 9, /more than 8 deep/],
  ])('refuses %s at character %i', (text, character, detail) => {
    expect(faultOf(text)).toEqual({pointer: '/filter', detail: expect.stringMatching(detail) as unknown, character});
  });

  test('takes as many and as deep as it says', () => {
    expect(faultOf(Array.from({length: 50}, () => 'a==1').join(','))).toHaveProperty('tree');
    expect(faultOf(`${'('.repeat(8)}a==1${')'.repeat(8)}`)).toEqual({tree: 'a==1'});
  });

  test('answers any text with a tree or a character in it, and soon', () => {
    const piece = fc.constantFrom('a', '==', '=in=', '(', ')', ';', ',', '"', "'", '*', '<', ' ', '.', '\\', 'tags.x');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, {maxLength: 400}).map((parts) => parts.join('')),
        ),
        (text) => {
          const began = performance.now();
          const fault = faultOf(text);
          if (fault !== undefined && 'pointer' in fault) {
            expect(fault.character).toBeGreaterThan(0);
            expect(fault.character).toBeLessThanOrEqual(text.length + 1);
          }
          expect(performance.now() - began).toBeLessThan(500);
        },
      ),
    );
  });

  test('reads what was written of any filter as the same', () => {
    const value = fc.oneof(
      fc.record({text: fc.string({minLength: 1}), isPrefix: fc.constant(false), at: fc.constant(0)}),
      fc.record({text: fc.constantFrom('', 'green', 'a.b-c'), isPrefix: fc.constant(true), at: fc.constant(0)}),
    );
    const comparison = fc
      .record({
        kind: fc.constant('comparison' as const),
        field: fc.constantFrom('name', 'tags'),
        key: fc.option(fc.string({minLength: 1}), {nil: undefined}),
        operator: fc.constantFrom('==' as const, '!=' as const),
        values: fc.uniqueArray(value, {minLength: 1, maxLength: 3, selector: JSON.stringify}),
        at: fc.constant(0),
      })
      .map((node): FilterNode => node);
    const {node} = fc.letrec<{node: FilterNode}>((tie) => ({
      node: fc.oneof(
        {maxDepth: 3, withCrossShrink: true},
        comparison,
        fc.record({
          kind: fc.constantFrom('and' as const, 'or' as const),
          nodes: fc.array(tie('node'), {minLength: 2, maxLength: 3}),
          at: fc.constant(0),
        }),
      ),
    }));
    fc.assert(
      fc.property(node, (filter) => {
        fc.pre(valuesIn(filter) <= 50);
        const written = writeFilter(filter);
        expect(canonicalFilter(parseFilter(written, Infinity))).toBe(canonicalFilter(filter));
      }),
    );
  });

  test.each([
    [
      ' status == \'late\' ; ( tags."floor plan" == x , lastSync<-P2D )',
      'status==late;(tags."floor plan"==x,lastSync<-P2D)',
    ],
    ['group=in=(a,"b c",a);name==green*', 'group=in=(a,"b c");name==green*'],
    ['name=out=(x);(a==1;b==2),c=le=3', 'name!=x;(a==1;b==2),c<=3'],
    ['name=="*"', 'name=="*"'],
  ])('%s is written as %s', (text, written) => {
    const node = parseFilter(text);
    expect(node === undefined ? '' : writeFilter(node)).toBe(written);
  });

  test('has one canonical text however a filter was written', () => {
    expect(canonicalFilter(parseFilter('a=in=(b);c=="d"'))).toBe(canonicalFilter(parseFilter(' a == b ; (c==d)')));
    expect(canonicalFilter(parseFilter('a=="b*"'))).not.toBe(canonicalFilter(parseFilter('a==b*')));
  });
});
