import {expect, test} from '@jest/globals';
import {agentCommand, syncUrl} from './agent-command.ts';

test.each([
  [{secure: true, port: undefined}, 'https://eu.sync.example.com'],
  [{secure: true, port: 8443}, 'https://eu.sync.example.com:8443'],
  [{secure: false, port: undefined}, 'http://eu.sync.example.com'],
])('who reached the region by %j is told that devices reach it at %s', (reached, url) => {
  expect(syncUrl('eu.sync.example.com', reached)).toBe(url);
});

test('the token is an argument of no program but the shell itself', () => {
  const command = agentCommand('pse_x', 'https://eu.sync.example.com');
  expect(command.split('pse_x')).toHaveLength(2);
  expect(command).toMatch(/^echo pse_x \| /);
});
