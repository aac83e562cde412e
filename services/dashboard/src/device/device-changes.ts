import type {DeviceChanges} from '../api/client.ts';
import type {Device} from '../api/types.ts';
import {jsonText} from '../text/json-text.ts';

/** What a person fills in. */
export interface EditedDevice {
  /** Empty: none. */
  readonly name: string;
  readonly group: string;
  readonly tags: readonly EditedTag[];
}

interface EditedTag {
  /** Of the line. */
  readonly key: number;
  readonly name: string;
  readonly value: string;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : jsonText(value));

export const editedOf = ({name, group, tags}: Device): EditedDevice => ({
  name: name ?? '',
  group,
  tags: Object.entries(tags).map(([tag, value], key) => ({key, name: tag, value: textOf(value)})),
});

/** Lines without a name and a value are none. */
const tagsIn = ({tags}: EditedDevice): readonly (readonly [string, string])[] =>
  tags.map(({name, value}) => [name, value] as const).filter(([name, value]) => name !== '' || value !== '');

/** Why what was filled in cannot be sent; undefined where it can. */
export const faultIn = (edited: EditedDevice): string | undefined => {
  const names = tagsIn(edited).map(([name]) => name);
  if (names.includes('')) return 'A tag has no name.';
  return new Set(names).size === names.length ? undefined : 'Two tags have the same name.';
};

/** What differs from the device, and nothing else; undefined where nothing does. */
export const changesOf = (device: Device, edited: EditedDevice): DeviceChanges | undefined => {
  const before = editedOf(device);
  const [had, has] = [new Map(tagsIn(before)), new Map(tagsIn(edited))];
  const tags = [
    ...[...had.keys()].filter((name) => !has.has(name)).map((name) => [name, null] as const),
    ...[...has].filter(([name, value]) => had.get(name) !== value),
  ];
  const changes = {
    ...(edited.name === before.name ? {} : {name: edited.name === '' ? null : edited.name}),
    ...(edited.group === before.group ? {} : {group: edited.group}),
    ...(tags.length === 0 ? {} : {tags: Object.fromEntries(tags)}),
  };
  return Object.keys(changes).length === 0 ? undefined : changes;
};
