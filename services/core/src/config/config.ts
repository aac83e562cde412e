import type {z} from 'zod';
import {AppError} from '../errors/app-error.ts';

/** One environment variable: its name, what it means (with its unit), and how its text becomes a value. */
export interface Variable<S extends z.ZodType = z.ZodType> {
  readonly env: string;
  readonly doc: string;
  readonly schema: S;
}

/** Everything a process reads from its environment, by the name that the code uses for it. */
export interface ConfigDefinition<V extends Readonly<Record<string, Variable>>> {
  readonly command: string;
  readonly summary: string;
  readonly variables: V;
}

export type ConfigOf<D> =
  D extends ConfigDefinition<infer V> ? {readonly [K in keyof V]: z.output<V[K]['schema']>} : never;

export type Loaded<T> = {readonly kind: 'config'; readonly config: T} | {readonly kind: 'help'; readonly text: string};

export const variable = <S extends z.ZodType>(env: string, doc: string, schema: S): Variable<S> => ({env, doc, schema});

export const defineConfig = <V extends Readonly<Record<string, Variable>>>(
  definition: ConfigDefinition<V>,
): ConfigDefinition<V> => definition;

/**
 * Reads a process' configuration from `env`; `--help` in `argv` gives the text that documents it instead.
 * A variable that is set to the empty string counts as unset, because manifests cannot unset one.
 * @throws AppError `config-invalid` that names every bad variable at once. A bad value never falls back to the default.
 */
export const loadConfig = <V extends Readonly<Record<string, Variable>>>(
  definition: ConfigDefinition<V>,
  env: Readonly<Record<string, string | undefined>>,
  argv: readonly string[],
): Loaded<ConfigOf<ConfigDefinition<V>>> => {
  if (argv.includes('--help') || argv.includes('-h')) return {kind: 'help', text: configHelp(definition)};
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, {env: key, schema}] of Object.entries(definition.variables)) {
    const text = env[key];
    const result = schema.safeParse(text === '' ? undefined : text);
    if (result.success) values[name] = result.data;
    else problems.push(`${key}: ${result.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  if (problems.length > 0) {
    throw new AppError(
      'config-invalid',
      `the environment of ${definition.command} is wrong (--help explains every variable):\n  ${problems.join('\n  ')}`,
    );
  }
  // Every key of V was parsed by its own schema above, so the record has exactly that shape.
  return {kind: 'config', config: values as ConfigOf<ConfigDefinition<V>>};
};

export const configHelp = (definition: ConfigDefinition<Readonly<Record<string, Variable>>>): string => {
  const lines = Object.values(definition.variables).map(({env, doc, schema}) => {
    const fallback = schema.safeParse(undefined);
    const note = !fallback.success
      ? 'required'
      : fallback.data === undefined
        ? 'optional'
        : `default ${JSON.stringify(fallback.data)}`;
    return `  ${env} (${note})\n      ${doc}`;
  });
  return [`${definition.command}: ${definition.summary}`, '', 'Environment:', ...lines, ''].join('\n');
};
