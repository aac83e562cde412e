import {
  ALL_PARAMETERS,
  BOOLEAN_PARAMETERS,
  NUMBER_PARAMETERS,
  REFUSED_PARAMETERS,
  WORD_PARAMETERS,
} from './parameters.ts';
import {always, celList, type Rule} from './rule.ts';

const AT = 'spec.postgres.parameters';

/** PostgreSQL cuts names at 63 characters. A dot is in those of extensions. */
const NAME = /^[a-z_][a-z0-9_]{0,62}([.][a-z_][a-z0-9_]*)?$/;
const MAX_NAME_LENGTH = 63;

const BOOLEAN = /^(on|off|true|false|yes|no|1|0)$/;
/** PostgreSQL knows these units of memory and of time. It reads a whole number that begins with 0 as an octal one. */
const NUMBER = /^[-+]?((0|[1-9][0-9]*)([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]+)? *(B|kB|MB|GB|TB|us|ms|s|min|h|d)?$/;

const KNOWN: ReadonlySet<string> = new Set(ALL_PARAMETERS);

/** An object would also know `constructor`, and whatever else every object has. */
const WORDS_OF: ReadonlyMap<string, readonly string[]> = new Map(Object.entries(WORD_PARAMETERS));

/** As a literal of CEL. */
const WORDS = `{${[...WORDS_OF].map(([name, words]) => `'${name}': ${celList(words)}`).join(', ')}}`;

const refused = ([effect, names]: readonly [string, readonly string[]]): Rule =>
  always({
    at: AT,
    field: '',
    cel: `self.all(name, !(name in ${celList(names)}))`,
    message: `refused, because each of these ${effect}: ${names.join(', ')}`,
    holds: ({spec}) => Object.keys(spec.postgres.parameters).every((name) => !names.includes(name)),
  });

const typed = (names: readonly string[], pattern: RegExp, message: string): Rule =>
  always({
    at: AT,
    field: '',
    cel: `self.all(name, !(name in ${celList(names)}) || self[name].matches('${pattern.source}'))`,
    message,
    holds: ({spec}) =>
      Object.entries(spec.postgres.parameters).every(([name, value]) => !names.includes(name) || pattern.test(value)),
  });

/** A setting that the server does not take would be found by the first shard that restarts with it. */
export const parameterRules: readonly Rule[] = [
  always({
    at: AT,
    field: '',
    cel: `self.all(name, size(name) <= ${MAX_NAME_LENGTH} && name.matches('${NAME.source}') && !self[name].matches('[\\\\r\\\\n]'))`,
    message: `names of settings consist of a-z, 0-9, _ and one dot, and have at most ${MAX_NAME_LENGTH} characters; values have no line breaks`,
    holds: ({spec}) =>
      Object.entries(spec.postgres.parameters).every(
        ([name, value]) => name.length <= MAX_NAME_LENGTH && NAME.test(name) && !/[\r\n]/.test(value),
      ),
  }),
  always({
    at: AT,
    field: '',
    cel: `self.all(name, name.contains('.') || name in ${celList([...KNOWN])})`,
    message:
      'PostgreSQL 15 to 18 have no setting of this name that a configuration file may have; settings of extensions are called extension.setting',
    holds: ({spec}) => Object.keys(spec.postgres.parameters).every((name) => name.includes('.') || KNOWN.has(name)),
  }),
  ...Object.entries(REFUSED_PARAMETERS).map(refused),
  typed(BOOLEAN_PARAMETERS, BOOLEAN, 'a setting that is on or off has another value'),
  always({
    at: AT,
    field: '',
    cel: `self.all(name, !(name in ${WORDS}) || self[name] in ${WORDS}[name])`,
    message: `a setting that is one of a few words has another value: ${[...WORDS_OF]
      .map(([name, words]) => `${name} is ${words.join(', ')}`)
      .join('; ')}`,
    holds: ({spec}) =>
      Object.entries(spec.postgres.parameters).every(([name, value]) => WORDS_OF.get(name)?.includes(value) !== false),
  }),
  typed(
    NUMBER_PARAMETERS,
    NUMBER,
    'a setting that is a number has another value, or begins with a 0, which PostgreSQL reads as octal; units are B, kB, MB, GB, TB and us, ms, s, min, h, d',
  ),
];
