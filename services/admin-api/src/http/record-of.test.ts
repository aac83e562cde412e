import {expect, test} from '@jest/globals';
import {z} from 'zod';
import {parseInput} from './parse.ts';
import {recordOf} from './record-of.ts';

const texts = recordOf(z.string().max(3).nullable());
const ofJson = (json: string): unknown => JSON.parse(json);

test('a member may be called anything', () => {
  const json = '{"__proto__":"a","constructor":null,"toString":""}';
  expect(JSON.stringify(parseInput(texts, ofJson(json), 'body'))).toBe(json);
});

test.each([
  ['null', ''],
  ['[]', ''],
  ['"a"', ''],
  ['{"a":"b","c":1}', '/c'],
  ['{"__proto__":"long"}', '/__proto__'],
  ['{"a":{"__proto__":"b"}}', '/a'],
])('%s is refused', (json, pointer) => {
  expect(() => parseInput(texts, ofJson(json), 'body')).toThrow(
    expect.objectContaining({errors: [expect.objectContaining({pointer})]}),
  );
});

test('the document says what it is', () => {
  expect(z.toJSONSchema(texts.optional().describe('Tags.'), {io: 'input', unrepresentable: 'any'})).toMatchObject({
    description: 'Tags.',
    type: 'object',
    additionalProperties: {anyOf: [{type: 'string', maxLength: 3}, {type: 'null'}]},
  });
});
