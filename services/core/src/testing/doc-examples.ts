/** Examples as docs have them: commands that can be run, and answers of which `…` leaves something out. */

/** What stands between two fences. */
export interface DocBlock {
  /** Behind the opening fence; empty where it says none. */
  readonly language: string;
  readonly text: string;
  /** Of the opening fence, counted from 1. */
  readonly line: number;
  /** The heading that it stands below. */
  readonly section: string;
}

export const blocksOf = (markdown: string): readonly DocBlock[] => {
  const blocks: DocBlock[] = [];
  let section = '';
  let open: {language: string; line: number; lines: string[]} | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(\w*)$/.exec(line);
    if (open === undefined) {
      section = /^#+ (.*)$/.exec(line)?.[1] ?? section;
      if (fence !== null) open = {language: fence[1] ?? '', line: index + 1, lines: []};
    } else if (fence === null) {
      open.lines.push(line);
    } else {
      blocks.push({language: open.language, line: open.line, text: open.lines.join('\n'), section});
      open = undefined;
    }
  }
  return blocks;
};

/** What stands between two backticks in a text, outside of blocks. */
export const codeSpansOf = (markdown: string): readonly string[] =>
  [...markdown.replace(/^```[^]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].flatMap(([, span]) => span ?? []);

/** A command of a console block, and what is shown below it. */
export interface ConsoleExample {
  readonly command: string;
  readonly shown: string;
}

/** A command begins with `$ `, and goes on while its line ends with a backslash. */
export const examplesIn = (block: string): readonly ConsoleExample[] =>
  block
    .replaceAll(/\\\n\s*/g, '')
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command = '', ...shown] = text.split('\n');
      return {command, shown: shown.join('\n').trim()};
    });

/** The words of a command as a shell reads them, as far as examples need it. @throws Error for a variable that is not known */
export const wordsOf = (command: string, variables: Readonly<Record<string, string>>): readonly string[] => {
  const filled = (text: string): string =>
    text.replaceAll(/\$(\w+)/g, (_, name: string) => {
      const value = variables[name];
      if (value === undefined) throw new Error(`nobody says what $${name} is in: ${command}`);
      return value;
    });
  const words = command.match(/(?:'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"])+/g) ?? [];
  return words.map((word) =>
    (word.match(/'[^']*'|"(?:\\.|[^"\\])*"|[^'"]+/g) ?? [])
      .map((part) => {
        if (part.startsWith("'")) return part.slice(1, -1);
        return filled(part.startsWith('"') ? part.slice(1, -1).replaceAll(/\\(.)/g, '$1') : part);
      })
      .join(''),
  );
};

export interface CurlCall {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** What a curl command asks. @throws Error for an option that is not known here */
export const curlCallOf = ([curl, ...words]: readonly string[]): CurlCall => {
  if (curl !== 'curl') throw new Error(`${String(curl)} is not curl`);
  const headers: Record<string, string> = {};
  let [method, body, address]: (string | undefined)[] = [];
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '-X') method = rest.shift();
    else if (word === '-d') body = rest.shift();
    else if (word === '-o') rest.shift();
    else if (word === '-H') {
      const [name = '', ...value] = (rest.shift() ?? '').split(':');
      headers[name.toLowerCase()] = value.join(':').trim();
    } else if (word.startsWith('-')) throw new Error(`curl ${word} is not known here`);
    else address = word;
  }
  return {method: method ?? (body === undefined ? 'GET' : 'POST'), url: new URL(address ?? ''), headers, body};
};

/** Stands in a shown object, and in a shown list, for what is left out. */
const MORE = '…';

/** JSON in which `…` may stand for further members. @throws SyntaxError */
export const parseShown = (text: string): unknown => {
  // A text may have it too, and there it stays.
  const json = text.replaceAll(/"(?:\\.|[^"\\])*"|…(?=\s*([}\]]))/g, (found, closing: string | undefined) => {
    if (closing === undefined) return found;
    return closing === '}' ? `"${MORE}":null` : `"${MORE}"`;
  });
  return JSON.parse(json);
};

const kindOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? 'a time' : 'a text';
  return typeof value;
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface Comparison {
  /** Where the answer does not look like the example. */
  readonly faults: readonly string[];
  /** What stands in the answer for each text of the example that is cut short. */
  readonly cut: ReadonlyMap<string, string>;
}

/** Whether an answer has the members of an example, each of its kind, and no more where it leaves none out. Of a list the first is compared with each. */
export const compareShown = (shown: unknown, answer: unknown): Comparison => {
  const faults: string[] = [];
  const cut = new Map<string, string>();
  const compare = (example: unknown, actual: unknown, at: string): void => {
    if (kindOf(example) !== kindOf(actual)) {
      faults.push(`${at} is ${kindOf(actual)}, and ${kindOf(example)} in the example`);
    } else if (Array.isArray(example) && Array.isArray(actual)) {
      const [first] = example as readonly unknown[];
      const isWhole = example.at(-1) !== MORE;
      if (isWhole ? actual.length !== example.length : actual.length === 0) {
        faults.push(`${at} has ${actual.length} members, and ${example.length} in the example`);
      }
      if (first === undefined || first === MORE) return;
      for (const [index, member] of actual.entries()) compare(first, member, `${at}/${index}`);
    } else if (isObject(example) && isObject(actual)) {
      for (const [name, value] of Object.entries(example)) {
        if (name === MORE) continue;
        if (Object.hasOwn(actual, name)) compare(value, actual[name], `${at}/${name}`);
        else faults.push(`${at}/${name} is not in the answer`);
      }
      const more = Object.keys(actual).filter((name) => !Object.hasOwn(example, name));
      if (!Object.hasOwn(example, MORE) && more.length > 0) faults.push(`${at} has ${more.join(', ')} too`);
    } else if (typeof example === 'string' && typeof actual === 'string' && example.endsWith(MORE)) {
      cut.set(example, actual);
    } else if (typeof example === 'number' && at.endsWith('/id')) {
      cut.set(String(example), String(actual));
    }
  };
  compare(shown, answer, '');
  return {faults, cut};
};
