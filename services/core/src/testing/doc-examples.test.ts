import {describe, expect, test} from '@jest/globals';
import {blocksOf, codeSpansOf, compareShown, curlCallOf, examplesIn, parseShown, wordsOf} from './doc-examples.ts';

const PAGE = [
  '# Page',
  'With `a==b` and `c`.',
  '## Part',
  '```console',
  '$ ID=$(id `x`)',
  '$ curl -X PATCH -H "Authorization: Bearer $ID" \\',
  `    -d '{"a":"$ID"}' 'https://eu.example.com/x?q=a b'`,
  '{"a":1,…}',
  '```',
].join('\n');

test('blocks know their section, and spans are what stands outside of them', () => {
  expect(blocksOf(PAGE)).toMatchObject([{language: 'console', line: 4, section: 'Part'}]);
  expect(codeSpansOf(PAGE)).toEqual(['a==b', 'c']);
});

test('a command is read as a shell reads it', () => {
  const [, example] = examplesIn(blocksOf(PAGE)[0]?.text ?? '');
  expect(example?.shown).toBe('{"a":1,…}');
  const call = curlCallOf(wordsOf(example?.command ?? '', {ID: '7'}));
  expect(call).toMatchObject({method: 'PATCH', headers: {authorization: 'Bearer 7'}, body: '{"a":"$ID"}'});
  expect(call.url.pathname + call.url.search).toBe('/x?q=a%20b');
  expect(() => wordsOf('curl $NOBODY', {})).toThrow('$NOBODY');
  expect(() => curlCallOf(['curl', '--insecure'])).toThrow('--insecure');
  expect(curlCallOf(['curl', '-d', 'x', 'http://a/']).method).toBe('POST');
});

describe('an answer looks like an example', () => {
  test.each([
    ['{"a":1,"b":["x"]}', {a: 2, b: ['y']}],
    ['{"a":1,…}', {a: 2, b: null}],
    ['{"a":[{"b":1},…],…}', {a: [{b: 1}, {b: 2}], c: 3}],
    ['{"a":[],"at":"2026-11-24T01:52:02.726Z"}', {a: [], at: '1970-01-01T00:00:00Z'}],
    ['{"a":"one… of\\"…\\"}"}', {a: 'any'}],
    ['{"a":{…}}', {a: {b: 1}}],
  ])('%s', (shown, answer) => {
    expect(compareShown(parseShown(shown), answer).faults).toEqual([]);
  });

  test.each([
    ['{"a":1}', {a: 1, b: 2}, ' has b too'],
    ['{"a":1,…}', {b: 2}, '/a is not in the answer'],
    ['{"a":null}', {a: 'x'}, '/a is a text, and null in the example'],
    ['{"a":"x"}', {a: '2026-11-24T01:52:02.726Z'}, '/a is a time, and a text in the example'],
    ['{"a":[]}', {a: [1]}, '/a has 1 members, and 0 in the example'],
    ['{"a":[{"b":1},…]}', {a: [{b: 1}, {b: null}]}, '/a/1/b is null, and number in the example'],
    ['{"a":[1]}', {a: [1, 2]}, '/a has 2 members, and 1 in the example'],
  ])('but %s not like %j', (shown, answer, fault) => {
    expect(compareShown(parseShown(shown), answer).faults).toEqual([fault]);
  });

  test('and says what stands for a text that is cut short', () => {
    const {cut} = compareShown({id: '019ae2d4-…', name: 'x'}, {id: '019ae2d4-1', name: 'y'});
    expect([...cut]).toEqual([['019ae2d4-…', '019ae2d4-1']]);
  });
});
