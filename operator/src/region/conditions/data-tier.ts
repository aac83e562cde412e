import {problemOf} from '../problems.ts';
import {type WorkloadProgress} from '../progress.ts';
import {type Component} from '../labels.ts';
import {type ConditionInput, fails, type Finding, holds, unknown} from './condition.ts';

/** Of shards, broker or cache: whether all of them accept connections. */
const dataTier = (
  {context, progress}: ConditionInput,
  type: string,
  component: Component,
  what: string,
  members: readonly WorkloadProgress[],
): Finding => {
  if (members.every(({live}) => live === undefined)) return unknown(type, 'NotCreated', `${what} not created yet`);
  // What runs goes on without them, but nothing could start anew.
  if (!progress.prepared) return unknown(type, 'NotPrepared', 'a Secret or ConfigMap that it starts with is missing');
  const ready = members.filter(({available}) => available).length;
  const counted = `${ready}/${members.length} ${what} ready`;
  if (ready === members.length) return holds(type, 'Ready', counted);
  const problem = problemOf(context.children, component);
  return problem === undefined
    ? fails(type, 'NotReady', counted)
    : fails(type, problem.reason, `${counted}: ${problem.message}`);
};

export const databaseReady = (input: ConditionInput): Finding =>
  dataTier(input, 'DatabaseReady', 'postgres', 'shards', input.progress.shards);

export const brokerReady = (input: ConditionInput): Finding =>
  dataTier(input, 'BrokerReady', 'rabbitmq', 'broker nodes', [input.progress.broker]);

export const cacheReady = (input: ConditionInput): Finding =>
  dataTier(input, 'CacheReady', 'redis', 'caches', [input.progress.cache]);
