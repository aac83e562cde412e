import {expect, test} from '@jest/globals';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {inputsHash, setWithTestServers} from './binaries.ts';

test('an edit below tools/ makes the set that it belongs to anew, and no other', () => {
  const tools = mkdtempSync(join(tmpdir(), 'pisync-tools-'));
  try {
    const write = (folder: string, text: string): void => {
      mkdirSync(join(tools, folder, 'cmd'), {recursive: true});
      writeFileSync(join(tools, folder, 'cmd', 'main.go'), text);
    };
    const keyOf = (folder: string): string => inputsHash({builds: [], links: [], sources: [folder]}, tools);
    write('large', 'package main');
    const large = keyOf('large');
    write('small', 'package main');
    const small = keyOf('small');
    write('small', 'package main // edited');
    expect(keyOf('large')).toBe(large);
    expect(keyOf('small')).not.toBe(small);
  } finally {
    rmSync(tools, {recursive: true});
  }
});

test('tests that start an API server have nothing built but it and etcd, and nothing at all where a bare cluster has them', () => {
  expect(setWithTestServers(() => true).name).toBe('binaries');
  const {builds, links, extra, finish} = setWithTestServers(() => false);
  expect(builds.map(({module, packages}) => [module, packages])).toEqual([['kubernetes', ['./cmd/kube']]]);
  expect(links).toEqual(['etcd', 'kube-apiserver']);
  expect([extra, finish]).toEqual([undefined, undefined]);
});
