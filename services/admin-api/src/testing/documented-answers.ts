import {z} from 'zod';

/** What the OpenAPI document says of calls, as far as tests go by it. */
const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        operationId: z.string(),
        security: z.array(z.unknown()).optional(),
        parameters: z
          .array(
            z.object({
              name: z.string(),
              in: z.enum(['path', 'query', 'header']),
              required: z.boolean(),
              schema: z.record(z.string(), z.unknown()),
            }),
          )
          .default([]),
        requestBody: z
          .object({content: z.object({'application/json': z.object({schema: z.record(z.string(), z.unknown())})})})
          .optional(),
        responses: z.record(
          z.string(),
          z.object({content: z.record(z.string(), z.object({schema: z.record(z.string(), z.unknown())})).optional()}),
        ),
      }),
    ),
  ),
  components: z.object({schemas: z.object({Problem: z.record(z.string(), z.unknown())})}),
});

type Document = z.output<typeof documentSchema>;

/** An operation as the document has it. */
export type DocumentedOperation = Document['paths'][string][string] & {
  readonly method: string;
  readonly path: string;
};

export interface SeenAnswer {
  readonly status: number;
  /** Media type. */
  readonly type: string;
  readonly body: unknown;
}

export interface DocumentedAnswers {
  readonly operations: readonly DocumentedOperation[];
  /**
   * Undefined for an address or a method that the document does not have, which is answered 404 or 405.
   * @throws Error where an answer is not as the document says.
   */
  check(method: string, path: string, answer: SeenAnswer): DocumentedOperation | undefined;
}

export const documentedAnswers = (json: unknown): DocumentedAnswers => {
  const document = documentSchema.parse(json);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({...operation, method, path})),
  );
  const patterns = new Map(
    operations.map((operation) => [operation, new RegExp(`^${operation.path.replace(/\{\w+\}/g, '[^/]+')}$`)]),
  );
  const schemas = new Map<object, z.ZodType>();
  const schemaOf = (json: Record<string, unknown>): z.ZodType => {
    const own = json['$ref'] === '#/components/schemas/Problem' ? document.components.schemas.Problem : json;
    const schema = schemas.get(own) ?? z.fromJSONSchema(own);
    schemas.set(own, schema);
    return schema;
  };

  return {
    operations,
    check(method, path, {status, type, body}) {
      const operation = operations.find((one) => one.method === method && patterns.get(one)?.test(path) === true);
      if (operation === undefined) {
        if (status === 404 || status === 405) return undefined;
        throw new Error(`${method} ${path} answered ${status}, and the document does not know it`);
      }
      const response = operation.responses[String(status)];
      if (response === undefined)
        throw new Error(`${method} ${path} answered ${status}, which the document does not know`);
      if (response.content === undefined) {
        if (body !== undefined)
          throw new Error(`${method} ${path} ${status} has a body, which the document does not know`);
        return operation;
      }
      const schema = response.content[type]?.schema;
      if (schema === undefined)
        throw new Error(`${method} ${path} ${status} came as "${type}", which the document does not know`);
      const parsed = schemaOf(schema).safeParse(body);
      if (!parsed.success) throw new Error(`${method} ${path} ${status} is not as documented: ${parsed.error.message}`);
      return operation;
    },
  };
};
