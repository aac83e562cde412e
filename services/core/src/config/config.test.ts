import {describe, expect, test} from '@jest/globals';
import {AppError} from '../errors/app-error.ts';
import {configHelp, defineConfig, loadConfig, variable} from './config.ts';
import {decimal, integer, text} from './values.ts';

const definition = defineConfig({
  command: 'example',
  summary: 'shows what a process reads',
  variables: {
    port: variable('EXAMPLE_PORT', 'TCP port.', integer(0, 65535).default(8080)),
    ratio: variable('EXAMPLE_RATIO', 'A share.', decimal(0, 1).default(0.5)),
    name: variable('EXAMPLE_NAME', 'Who it is.', text()),
    note: variable('EXAMPLE_NOTE', 'Anything.', text().optional()),
  },
});

const failure = (env: Readonly<Record<string, string>>): string => {
  try {
    loadConfig(definition, env, []);
  } catch (error) {
    if (error instanceof AppError) return `${error.code}: ${error.message}`;
  }
  return 'nothing';
};

describe('loadConfig', () => {
  test('parses what is set and takes the default of what is not', () => {
    expect(loadConfig(definition, {EXAMPLE_PORT: '0', EXAMPLE_NAME: 'a', EXAMPLE_RATIO: ''}, [])).toEqual({
      kind: 'config',
      config: {port: 0, ratio: 0.5, name: 'a', note: undefined},
    });
  });

  test('takes a number as JavaScript writes it', () => {
    for (const ratio of [0, 1, 0.01, 1e-7, 0.1 + 0.2]) {
      const env = {EXAMPLE_NAME: 'a', EXAMPLE_RATIO: String(ratio)};
      expect(loadConfig(definition, env, [])).toMatchObject({config: {ratio}});
    }
  });

  test('names every bad variable at once and never falls back to a default', () => {
    const message = failure({EXAMPLE_PORT: '80a', EXAMPLE_RATIO: '1.5'});
    expect(message).toMatch(/^config-invalid/);
    expect(message).toContain('EXAMPLE_PORT: must be a whole number in digits');
    expect(message).toContain('EXAMPLE_RATIO: must be at most 1');
    expect(message).toContain('EXAMPLE_NAME: is required');
  });

  test('answers --help with every variable, also where the environment is wrong', () => {
    const loaded = loadConfig(definition, {EXAMPLE_PORT: 'x'}, ['--help']);
    expect(loaded).toEqual({kind: 'help', text: configHelp(definition)});
    expect(configHelp(definition)).toContain('EXAMPLE_PORT (default 8080)');
    expect(configHelp(definition)).toContain('EXAMPLE_NAME (required)');
    expect(configHelp(definition)).toContain('EXAMPLE_NOTE (optional)');
  });
});
