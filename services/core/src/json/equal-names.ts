/**
 * Objects with two members of one name. JSON.parse keeps the last of them and says nothing. RFC 7493 (I-JSON), section 2.3, forbids them.
 */
import {pointerStep} from './pointer.ts';

/** A part of a body that has such an object. */
export interface EqualNames {
  /** JSON pointer (RFC 6901) of the first repeated member. */
  readonly pointer: string;
  /** The part as it was sent. */
  readonly source: string;
}

/** How many members all objects of a parsed value have. Without equal names it is as many as the text has. Follows nesting, so that must be bounded. */
export const countMembers = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const inner of value as readonly unknown[]) if (typeof inner === 'object') count += countMembers(inner);
    return count;
  }
  // What is parsed inherits nothing that this would visit; Object.keys makes an array each time.
  for (const name in value) {
    const inner = (value as Readonly<Record<string, unknown>>)[name];
    count += 1;
    if (typeof inner === 'object') count += countMembers(inner);
  }
  return count;
};

interface Level {
  readonly beganAt: number;
  /** Of an object. */
  readonly names: Set<string> | undefined;
  /** Whether the next text is a name. */
  isName: boolean;
  /** The member or element that is being read. */
  step: string | number;
  /** Of the first repeated member, where the level is a part. */
  pointer: string | undefined;
}

/** How deep the parts of a sync call are that are stored or set aside each for itself. */
const CALL_PARTS: ReadonlyMap<string, number> = new Map([
  ['state', 1],
  ['records', 2],
]);

/** Behind the text that begins at `from`. */
const endOfText = (json: string, from: number): number => {
  let at = from + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
};

const nameOf = (quoted: string): string =>
  quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, quoted.length - 1);

/**
 * The parts of a sync call that have such objects, by their pointers: `/state`, `/records/3`, and an empty one for the rest.
 * @param json what JSON.parse takes
 */
export const findEqualNames = (json: string): ReadonlyMap<string, EqualNames> => {
  const found = new Map<string, EqualNames>();
  const open: Level[] = [];
  const pointerTo = (depth: number): string =>
    open
      .slice(0, depth)
      .map(({step}) => pointerStep(step))
      .join('');
  const note = (): void => {
    const depth = CALL_PARTS.get(String(open[0]?.step)) ?? 0;
    const part = open[depth] ?? open[0];
    if (part !== undefined) part.pointer ??= pointerTo(open.length);
  };
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    const level = open.at(-1);
    if (char === '"') {
      const end = endOfText(json, at);
      if (level?.names !== undefined && level.isName) {
        const name = nameOf(json.slice(at, end));
        level.step = name;
        level.isName = false;
        if (level.names.has(name)) note();
        level.names.add(name);
      }
      at = end - 1;
    } else if (char === '{') open.push({beganAt: at, names: new Set(), isName: true, step: '', pointer: undefined});
    else if (char === '[') open.push({beganAt: at, names: undefined, isName: false, step: 0, pointer: undefined});
    else if (char === ',' && level !== undefined) {
      level.isName = true;
      if (typeof level.step === 'number') level.step += 1;
    } else if (char === '}' || char === ']') {
      open.pop();
      if (level?.pointer === undefined) continue;
      found.set(pointerTo(open.length), {pointer: level.pointer, source: json.slice(level.beganAt, at + 1)});
    }
  }
  return found;
};
