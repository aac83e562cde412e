import {expect, test} from '@jest/globals';
import {areInstalled} from './packages.ts';

const locked = {
  '': {version: '0.1.0'},
  contract: {version: '0.1.0'},
  'node_modules/a': {version: '1.0.0'},
  'node_modules/other-platform': {version: '1.0.0', optional: true},
  'node_modules/@pisync/contract': {link: true},
};
const installed = {
  contract: {version: '0.1.0'},
  'node_modules/a': {version: '1.0.0'},
  'node_modules/@pisync/contract': {link: true},
};

test.each([
  ['nothing is left to do when all is there but what is for other platforms', installed, true],
  ['another version is another package', {...installed, 'node_modules/a': {version: '1.0.1'}}, false],
  ['what is missing must be installed', {contract: {version: '0.1.0'}}, false],
  ['what nobody asks for any more must go', {...installed, 'node_modules/gone': {version: '1.0.0'}}, false],
])('%s', (_name, found, expected) => {
  expect(areInstalled(locked, found)).toBe(expected);
});
