import {expect, test} from '@jest/globals';
import {chooseCluster, type MachineFacts} from './choose.ts';

const facts: MachineFacts = {
  kubeconfig: undefined,
  wanted: undefined,
  platform: 'linux',
  isRoot: true,
  dockerAnswers: false,
};

test.each<[string, Partial<MachineFacts>, string]>([
  [
    'an existing cluster when one is named, whatever else is there',
    {kubeconfig: '/k', dockerAnswers: true, wanted: 'bare'},
    'external',
  ],
  ['kind where Docker answers', {dockerAnswers: true}, 'kind'],
  ['bare where it does not', {}, 'bare'],
  ['bare when asked for, in spite of Docker', {wanted: 'bare', dockerAnswers: true}, 'bare'],
  ['nothing without root and Docker', {isRoot: false}, 'none'],
  ['nothing when kind is asked for without Docker', {wanted: 'kind'}, 'none'],
  ['nothing on another system without Docker', {platform: 'darwin'}, 'none'],
  ['bare never without root', {wanted: 'bare', isRoot: false, dockerAnswers: true}, 'none'],
])('chooses %s', (_, change, kind) => {
  expect(chooseCluster({...facts, ...change}).kind).toBe(kind);
});
