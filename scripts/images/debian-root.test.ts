import {expect, test} from '@jest/globals';
import {DATA_ROOT, mmdebstrapCommand, NODE_ROOT} from './debian-root.ts';

test('asks for the packages, without what is left out, from the mirror that was named', () => {
  const command = mmdebstrapCommand(DATA_ROOT, '/x/root.tar', 'http://mirror.example/debian');
  expect(command).toContain('--include=postgresql-17,rabbitmq-server,redis-server');
  expect(command).toContain('--dpkgopt=path-exclude=/usr/share/man/*');
  expect(command.slice(-3)).toEqual(['trixie', '/x/root.tar', 'http://mirror.example/debian']);
});

test('only extract hooks are used where mmdebstrap runs no others', () => {
  expect(NODE_ROOT.variant).toBe('extract');
  expect(Object.keys(NODE_ROOT.hooks)).toEqual(['extract']);
  expect(mmdebstrapCommand(NODE_ROOT, '/x/root.tar').at(-1)).toBe('/x/root.tar');
});
