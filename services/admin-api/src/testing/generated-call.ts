import fc from 'fast-check';
import type {DocumentedOperation} from './documented-answers.ts';

/** A call that the document allows, or nearly. */
export interface GeneratedCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What a parameter or a member of a body may say beside what its schema allows: names of what is there. Undefined where the schema says enough. */
export type Words = (operation: DocumentedOperation, name: string) => fc.Arbitrary<unknown> | undefined;

type Schema = Readonly<Record<string, unknown>>;

/** Each has broken something somewhere. */
const ODD_TEXTS = [
  '',
  ' ',
  '\0',
  '\ud800',
  '\u202e',
  '😀',
  '__proto__',
  'constructor',
  "'",
  '"',
  '%00',
  '\\',
  '\n',
] as const;
const ODD_NUMBERS = [
  '-1',
  '0',
  '1.5',
  '1e2',
  '0x10',
  '007',
  '2147483648',
  '9223372036854775808',
  '1e999',
  'NaN',
] as const;
/** Where calendars end, and how far an offset leads. */
const INSTANTS = [
  '0000-01-01T00:00:00Z',
  '0000-12-31T23:59:59+00:00',
  '0001-01-01T00:00:00Z',
  '0001-01-01T00:00:00+14:00',
  '1970-01-01T00:00:00Z',
  '2024-02-29T12:00:00.123456789Z',
  `2024-02-29T12:00:00.${'1'.repeat(200)}Z`,
  '2999-01-01T00:00:00-23:59',
  '9999-12-31T23:59:59.999Z',
  '9999-12-31T23:59:59-23:59',
] as const;

const numberOf = (schema: Schema, name: string, fallback: number): number => {
  const value = schema[name];
  return typeof value === 'number' ? value : fallback;
};
const schemasIn = (schema: Schema, name: string): readonly Schema[] => {
  const value = schema[name];
  // JSON Schema has lists of schemas there.
  return Array.isArray(value) ? (value as readonly Schema[]) : [];
};

const text = (minLength: number, maxLength: number): fc.Arbitrary<string> => {
  const bounds = {minLength, maxLength: Math.min(maxLength, minLength + 40)};
  const plain = fc.string({...bounds, unit: 'grapheme-ascii'});
  return fc.oneof(
    {weight: 6, arbitrary: plain},
    {weight: 2, arbitrary: fc.string({...bounds, unit: 'grapheme'})},
    {weight: 1, arbitrary: fc.string({...bounds, unit: 'binary'})},
    {weight: 1, arbitrary: plain.map((short) => short.padEnd(Math.min(maxLength, 8_000), 'x'))},
  );
};

/** Values that the schema allows, or `words` where there are any. */
const valid = (schema: Schema, words: (name: string) => fc.Arbitrary<unknown> | undefined): fc.Arbitrary<unknown> => {
  const branches = schemasIn(schema, 'anyOf');
  if (branches.length > 0) return fc.oneof(...branches.map((branch) => valid(branch, words)));
  if (Array.isArray(schema['enum'])) return fc.constantFrom<unknown>(...(schema['enum'] as readonly unknown[]));
  switch (schema['type']) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return fc.integer({min: numberOf(schema, 'minimum', -1e6), max: numberOf(schema, 'maximum', 1e6)});
    case 'number':
      return fc.double({noNaN: true, noDefaultInfinity: true});
    case 'string':
      if (schema['format'] === 'uuid') return fc.uuid();
      if (schema['format'] === 'date-time') {
        const day = fc.date({noInvalidDate: true, min: new Date(0), max: new Date('2999-01-01')});
        return fc.oneof(
          fc.constantFrom(...INSTANTS),
          day.map((at) => at.toISOString()),
        );
      }
      return text(numberOf(schema, 'minLength', 0), numberOf(schema, 'maxLength', Infinity));
    case 'array':
      return fc.array(valid((schema['items'] ?? {}) as Schema, words), {
        minLength: numberOf(schema, 'minItems', 0),
        maxLength: Math.min(numberOf(schema, 'maxItems', Infinity), 6),
      });
    case 'object':
      return validObject(schema, words);
    default:
      return fc.jsonValue();
  }
};

const validObject = (
  schema: Schema,
  words: (name: string) => fc.Arbitrary<unknown> | undefined,
): fc.Arbitrary<Record<string, unknown>> => {
  const {properties = {}, additionalProperties} = schema;
  const members = Object.entries(properties as Readonly<Record<string, Schema>>).map(([name, member]) => {
    const own = words(name);
    const byItself = valid(member, words);
    return [name, own === undefined ? byItself : mostly(own, byItself)] as const;
  });
  const required = Array.isArray(schema['required']) ? (schema['required'] as string[]) : [];
  if (members.length === 0 && typeof additionalProperties === 'object') {
    return fc.dictionary(text(0, 64), valid(additionalProperties as Schema, words), {
      maxKeys: 4,
      noNullPrototype: true,
    });
  }
  return fc.record(Object.fromEntries(members), {requiredKeys: required, noNullPrototype: true});
};

const mostly = <T>(often: fc.Arbitrary<T>, sometimes: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({weight: 9, arbitrary: often}, {weight: 1, arbitrary: sometimes});

/** Of a query or a header. */
const oddText = (schema: Schema): fc.Arbitrary<string> =>
  fc.constantFrom(
    ...[...ODD_TEXTS, ...ODD_NUMBERS, 'null', 'true', '[]', '{}', INSTANTS[0]],
    ...[numberOf(schema, 'minimum', 0) - 1, numberOf(schema, 'maximum', 0) + 1].map(String),
    'x'.repeat(Math.min(numberOf(schema, 'maxLength', 300), 8_000) + 1),
  );

/** Bodies that are a little beside the schema. */
const oddBody = (schema: Schema, good: fc.Arbitrary<unknown>): fc.Arbitrary<string> => {
  const names = Object.keys(schema['properties'] ?? {});
  const oddValue = fc.oneof(
    fc.constantFrom<unknown>(
      ...ODD_TEXTS,
      ...ODD_NUMBERS.map(Number),
      ...INSTANTS,
      null,
      true,
      [],
      {},
      'x'.repeat(600),
    ),
    fc.jsonValue(),
  );
  const changed = fc
    .tuple(good, fc.constantFrom(...names, 'unknown', '__proto__'), fc.oneof(oddValue, fc.constant(undefined)))
    // JSON.stringify leaves out what is undefined; fromEntries defines __proto__ as an own property.
    .map(([body, name, value]) => JSON.stringify(Object.fromEntries([...Object.entries(body ?? {}), [name, value]])));
  return fc.oneof(
    {weight: 8, arbitrary: changed},
    {weight: 1, arbitrary: oddValue.map((value) => JSON.stringify(value))},
    {weight: 1, arbitrary: fc.constantFrom('', '{', '{"a":1,"a":2}', '[[[[[[', '"\\ud800"', '\ufeff{}')},
  );
};

type Parameter = DocumentedOperation['parameters'][number];

/** A header cannot have anything else. */
const isHeaderText = (value: string): boolean => /^[!-~](?:[ -~]*[!-~])?$/.test(value);

const parameterOf = (operation: DocumentedOperation, words: Words, {name, schema, in: where}: Parameter) => {
  const own = words(operation, name);
  const byItself = valid(schema, () => undefined);
  const good = (own === undefined ? byItself : mostly(own, byItself)).map(String);
  const value = fc.oneof({weight: 8, arbitrary: good}, {weight: 1, arbitrary: oddText(schema)});
  // A path is another one with less in it.
  if (where === 'path') return value.filter((id) => id !== '' && id !== '.' && id !== '..');
  return where === 'header' ? value.filter(isHeaderText) : value;
};

const parametersIn = (
  operation: DocumentedOperation,
  where: Parameter['in'],
  words: Words,
): fc.Arbitrary<readonly (readonly [string, string])[]> => {
  const each = operation.parameters
    .filter((parameter) => parameter.in === where)
    .map((parameter) => {
      const entry = parameterOf(operation, words, parameter).map((value): [string, string][] => [
        [parameter.name, value],
      ]);
      const none = fc.constant<[string, string][]>([]);
      if (where === 'path') return entry;
      return fc.oneof(
        {weight: parameter.required ? 9 : 3, arbitrary: entry},
        {weight: parameter.required ? 1 : 6, arbitrary: none},
      );
    });
  return fc.tuple(...each).map((entries) => entries.flat());
};

/** Among what a query may have, what it may not: a name that nobody knows, and one that is there twice. */
const oddEntries = (
  entries: readonly (readonly [string, string])[],
): fc.Arbitrary<readonly (readonly [string, string])[]> => {
  const [first = ['limit', '1'] as const] = entries;
  const more = fc.constantFrom(['nobody', '1'] as const, ['__proto__', '1'] as const, first);
  return fc.oneof(
    {weight: 19, arbitrary: fc.constant(entries)},
    {weight: 1, arbitrary: more.map((one) => [...entries, one])},
  );
};

/** Surrogates that have lost their other half are no UTF-8. */
const escaped = (value: string): string => encodeURIComponent(value.toWellFormed());

/** Calls of one operation. */
export const callsOf = (operation: DocumentedOperation, words: Words): fc.Arbitrary<GeneratedCall> => {
  const schema = operation.requestBody?.content['application/json'].schema;
  const good = schema === undefined ? undefined : valid(schema, (name) => words(operation, name));
  const body =
    schema === undefined || good === undefined
      ? fc.constant(undefined)
      : fc.oneof(
          {weight: 7, arbitrary: good.map((value) => JSON.stringify(value))},
          {weight: 3, arbitrary: oddBody(schema, good)},
        );
  const given = fc.record({
    path: parametersIn(operation, 'path', words),
    query: parametersIn(operation, 'query', words).chain(oddEntries),
    headers: parametersIn(operation, 'header', words),
    body,
  });
  return given.map(({path, query, headers, body: sent}) => {
    const filled = path.reduce(
      (template, [name, value]) => template.replace(`{${name}}`, () => escaped(value)),
      operation.path,
    );
    const asked = query.map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join('&');
    return {
      method: operation.method.toUpperCase(),
      path: asked === '' ? filled : `${filled}?${asked}`,
      headers: Object.fromEntries(headers),
      ...(sent === undefined ? {} : {body: sent}),
    };
  });
};
