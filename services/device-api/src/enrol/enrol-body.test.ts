import {expect, test} from '@jest/globals';
import {parseEnrolBody} from './enrol-body.ts';

const parse = (tags: unknown) =>
  parseEnrolBody(Buffer.from(JSON.stringify({hardwareId: 'h', secret: 'A'.repeat(43), tags}))).tags;

test.each<[string, Readonly<Record<string, string>>]>([
  ['none', {}],
  ['plain ones', {site: 'north', 'a b': ''}],
  ['a line break in a name', {'a\nb': 'x'}],
  ['a long name', {['k'.repeat(64)]: 'x'}],
])('tags with %s are taken', (_what, tags) => {
  expect(parse(tags)).toEqual(tags);
});

test.each<[string, unknown]>([
  ['a value that is no text', {a: {x: 1}}],
  ['a value that is no text, behind a line break', {'a\nb': {x: [1]}}],
  ['a long value, behind a line break', {'a\u2028': 'x'.repeat(257)}],
  ['no name', {'': 'x'}],
  ['a name that is too long', {['k'.repeat(65)]: 'x'}],
  ['too many of them', Object.fromEntries(Array.from({length: 33}, (_, index) => [`k${index}`, 'x']))],
])('tags with %s are refused', (_what, tags) => {
  expect(() => parse(tags)).toThrow(expect.objectContaining({code: 'bad-request'}));
});

test.each([
  [`"hardwareId":"g"`, '/hardwareId'],
  [`"tags":{"site":"north","site":"south"}`, '/tags/site'],
  [`"state":{"a":1,"\\u0061":1}`, '/state/a'],
])('an enrolment with two members of one name, %s, is refused', (more, pointer) => {
  const body = `{"hardwareId":"h","secret":"${'A'.repeat(43)}",${more}}`;
  expect(() => parseEnrolBody(Buffer.from(body))).toThrow(
    expect.objectContaining({code: 'bad-request', errors: [expect.objectContaining({pointer})]}),
  );
});
