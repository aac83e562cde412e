import {z} from 'zod';
import type {Route, RouteDefinition} from '../http/route.ts';

/** RFC 9457, as every error of the API is written. */
export const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string().describe('A stable word to branch on.'),
  detail: z.string(),
  instance: z.string().optional().describe('Names the request; the log has the same.'),
  errors: z.array(z.object({pointer: z.string(), detail: z.string(), character: z.int().optional()})).optional(),
  id: z.union([z.uuid(), z.int()]).optional().describe('What a call with the same Idempotency-Key made before.'),
});

type JsonSchema = Readonly<Record<string, unknown>>;

/** zod writes JSON Schema 2020-12, which is what OpenAPI 3.1 speaks; the dialect is said once for the document. */
const jsonSchema = (schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
  const {$schema: _, ...rest} = z.toJSONSchema(schema, {io, unrepresentable: 'any'});
  return rest;
};

const parametersOf = (schema: z.ZodObject | undefined, where: 'path' | 'query'): readonly object[] =>
  Object.entries(schema?.shape ?? {}).map(([name, field]) => {
    // A ZodObject's shape holds zod types; its declared type is the wider core one.
    const type = field as z.ZodType;
    const {description, ...rest} = jsonSchema(type, 'input');
    // zod leaves the default out of what is preprocessed.
    const absent: unknown = type.safeParse(undefined).data;
    return {
      name,
      in: where,
      required: where === 'path',
      ...(description === undefined ? {} : {description}),
      schema: absent === undefined ? rest : {...rest, default: absent},
    };
  });

const PROBLEMS_OF_ALL: Readonly<Record<number, string>> = {
  400: 'The request cannot be used; `errors` points at what is wrong.',
  503: 'Something that the answer needs does not answer, or too many bodies come at once; `Retry-After` says when to come back.',
};
const PROBLEMS_OF_SIGNED_IN: Readonly<Record<number, string>> = {
  401: 'Not signed in.',
  403: 'The role does not suffice, or the CSRF token is missing.',
  429: 'Too many calls; `Retry-After` says when to come back.',
};

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'Names this call: when it is repeated nothing is made again, and the answer is a 409 that names what it made.',
  schema: {type: 'string', maxLength: 128},
};
const PROBLEMS_OF_CREATION: Readonly<Record<number, string>> = {
  409: 'A call with this `Idempotency-Key` was done before, and `id` names what it made; or there are too many.',
};

const IF_MATCH = {
  name: 'If-Match',
  in: 'header',
  required: true,
  description:
    'What the caller has seen: the ETag of an answer, or its `revision` in quotes (`"7"`). `*`: whatever it is by now.',
  schema: {type: 'string'},
};
const PROBLEMS_OF_CONDITIONS: Readonly<Record<number, string>> = {
  412: 'It has another revision by now; `ETag` is of what it is.',
  428: '`If-Match` is missing.',
};

const PROBLEMS_OF_BODIES: Readonly<Record<number, string>> = {
  408: 'The body did not arrive in time.',
  413: 'The body is larger than 64 KiB.',
  415: 'The body is not sent as application/json, or in a Content-Encoding other than gzip.',
};

const contentOf = ({schema, streams}: RouteDefinition['success']): object => {
  if (streams !== undefined) {
    return {content: Object.fromEntries(streams.map((type) => [type, {schema: {type: 'string'}}]))};
  }
  return schema === undefined ? {} : {content: {'application/json': {schema: jsonSchema(schema, 'output')}}};
};

const operationOf = (definition: RouteDefinition): object => {
  const {success} = definition;
  const problems: Readonly<Record<number, string>> = {
    ...PROBLEMS_OF_ALL,
    ...(definition.access === 'anyone' ? {} : PROBLEMS_OF_SIGNED_IN),
    ...(definition.body === undefined ? {} : PROBLEMS_OF_BODIES),
    ...(definition.creates === undefined ? {} : PROBLEMS_OF_CREATION),
    ...(definition.conditional === undefined ? {} : PROBLEMS_OF_CONDITIONS),
    ...definition.problems,
  };
  const parameters = [
    ...parametersOf(definition.params, 'path'),
    ...parametersOf(definition.query, 'query'),
    ...(definition.creates === undefined ? [] : [IDEMPOTENCY_KEY]),
    ...(definition.conditional === undefined ? [] : [IF_MATCH]),
  ];
  return {
    operationId: definition.operationId,
    summary: definition.summary,
    ...(definition.access === 'anyone' ? {security: []} : {}),
    ...(parameters.length === 0 ? {} : {parameters}),
    ...(definition.body === undefined
      ? {}
      : {requestBody: {required: true, content: {'application/json': {schema: jsonSchema(definition.body, 'input')}}}}),
    responses: {
      [success.status]: {
        description: success.description,
        ...contentOf(success),
      },
      ...(('tagged' in definition && definition.method === 'get') || definition.constant === true
        ? {304: {description: 'Not changed since the given ETag.'}}
        : {}),
      ...Object.fromEntries(
        Object.entries(problems).map(([status, description]) => [
          status,
          {description, content: {'application/problem+json': {schema: {$ref: '#/components/schemas/Problem'}}}},
        ]),
      ),
    },
  };
};

export interface DocumentOptions {
  readonly version: string;
  /** Name of the cookie that has a session's id. */
  readonly cookieName: string;
}

/** The OpenAPI 3.1 document of the routes. */
export const openApiDocument = (routes: readonly Route[], {version, cookieName}: DocumentOptions): JsonSchema => {
  const paths: Record<string, Record<string, object>> = {};
  for (const {definition} of routes) {
    (paths[definition.path] ??= {})[definition.method] = operationOf(definition);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'PiSync admin API',
      version,
      description: 'What people and scripts ask a region: its devices, what they sent, and to sync now.',
      license: {name: 'Apache-2.0', identifier: 'Apache-2.0'},
    },
    servers: [{url: '/'}],
    security: [{token: []}, {session: []}],
    paths,
    components: {
      schemas: {Problem: jsonSchema(problemSchema, 'output')},
      securitySchemes: {
        token: {type: 'http', scheme: 'bearer', description: 'An API token of this region.'},
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: cookieName,
          description: 'A browser session; changes also need its CSRF token in the header X-CSRF-Token.',
        },
      },
    },
  };
};
