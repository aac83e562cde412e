import {type ProbeFact} from '@pisync/contract/facts';
import {SLOTS} from '@pisync/contract/slots';
import {FACTS_UNREADABLE, KEEPER_SILENT} from '../facts.ts';
import {replacedVolumes} from '../engines/known-volumes.ts';
import {BROKER_VOLUMES, type Component} from '../labels.ts';
import {problemOf} from '../problems.ts';
import {migrated, type WorkloadProgress} from '../progress.ts';
import {type ConditionInput, fails, type Finding, holds, NOT_TRIED, unknown} from './condition.ts';
import {VOLUME_REPLACED} from './schema-migrated.ts';
import {unlessUpdating} from './stuck.ts';

/** A reason for which nothing goes on by itself. */
export const CLAIM_DELETED = 'ClaimDeleted';

const FAILED_TRIALS = ['WriteFailed', 'PublishFailed'] as const;

/** What the keeper tries of a tier, and the reason when it cannot. */
interface Trial {
  readonly reason: (typeof FAILED_TRIALS)[number];
  readonly probes: readonly {readonly what: string; readonly probe: ProbeFact | undefined}[];
  /** What it has lost although it works. */
  readonly lost?: string | undefined;
}

/** A keeper looks every ten seconds and is patient for half of that; on a busy machine both take longer. */
const NEXT_TRY_MS = 30_000;

/** For how long a failure may still be of the time in which pods of the tier were away; 0 when they were not. */
export const untriedMs = ({region, now}: ConditionInput, type: string): number => {
  const said = region.status.conditions?.find((condition) => condition.type === type);
  if (said === undefined) return 0;
  if (said.status === 'False' && FAILED_TRIALS.every((reason) => reason !== said.reason)) return NEXT_TRY_MS;
  if (said.reason !== NOT_TRIED) return 0;
  return Math.max(0, Date.parse(said.lastTransitionTime) + NEXT_TRY_MS - now.getTime());
};

/** Why a tier whose pods are all ready does not count as ready. What was not tried is judged by its pods. */
const refuted = (
  input: ConditionInput,
  type: string,
  counted: string,
  {reason, probes}: Trial,
): Finding | undefined => {
  const {context, told} = input;
  const {standing, problem} = told;
  if (standing === 'stale' && problem !== undefined) {
    return unknown(type, FACTS_UNREADABLE, `${counted}, but what the keeper tried is not known: ${problem}`);
  }
  if (standing === 'stale') {
    return unknown(
      type,
      KEEPER_SILENT,
      `${counted}, but nothing was tried for two minutes: the keeper says nothing; see kubectl logs deployment/${context.names.keeper}`,
    );
  }
  if (standing !== 'fresh') return undefined;
  const failed = probes.find(({probe}) => probe?.ok === false);
  if (failed !== undefined && untriedMs(input, type) > 0)
    return unknown(type, NOT_TRIED, `${counted}; the keeper is about to try whether it works`);
  return failed && fails(type, reason, `${counted}, but ${failed.what}: ${failed.probe?.reason ?? 'no reason told'}`);
};

const deletedText = (claims: readonly string[]): string =>
  `claim ${claims.join(', ')} was deleted, and goes when its pod ends, with all data unless its volume has the reclaim policy Retain. The operator does not end that pod. Keep the volume: kubectl get pvc/${claims[0]} names it, kubectl patch pv/NAME -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'`;

/** Of shards, broker or cache: whether all of them accept connections, and do what they are there for. */
const dataTier = (
  input: ConditionInput,
  type: string,
  component: Component,
  what: string,
  members: readonly WorkloadProgress[],
  trial: Trial,
  /** Those that may be away: they restart for a change, or were never used. */
  mayBeAway: (member: WorkloadProgress) => boolean = ({rolling}) => rolling,
): Finding => {
  const {context, progress, now} = input;
  if (members.every(({live}) => live === undefined)) return unknown(type, 'NotCreated', `${what} not created yet`);
  const deleted = progress.deletedClaims.filter((claim) => claim.component === component);
  if (deleted.length > 0) return fails(type, CLAIM_DELETED, deletedText(deleted.map(({name}) => name)));
  // What runs goes on without them, but nothing could start anew.
  if (!progress.prepared) return unknown(type, 'NotPrepared', 'a Secret or ConfigMap that it starts with is missing');
  const ready = members.filter(({available}) => available).length;
  const counted = `${ready}/${members.length} ${what} ready`;
  if (ready === members.length && trial.lost !== undefined) return fails(type, VOLUME_REPLACED, trial.lost);
  if (ready === members.length) return refuted(input, type, counted, trial) ?? holds(type, 'Ready', counted);
  const problem = problemOf(context.children, component, now);
  if (problem !== undefined) return fails(type, problem.reason, `${counted}: ${problem.message}`);
  const isExpected = members.every((member) => member.available || mayBeAway(member));
  const lacking = fails(type, 'NotReady', counted);
  return isExpected ? unlessUpdating(lacking, input) : lacking;
};

/**
 * How many slots have no owner among the shards that services use, as far as each of these has told what it owns: at least, because one may own what the map gives
 * to another. What is being moved has an owner for all but a moment.
 */
const slotsMissing = ({context: {admitted}, progress, told: {standing, facts}}: ConditionInput): number => {
  const told = (facts?.shards ?? []).flatMap(({id, slots}) => (id < admitted && slots !== undefined ? [slots] : []));
  // Before its migration a shard owns none, and that is told elsewhere.
  if (standing !== 'fresh' || admitted === 0 || told.length < admitted || !migrated(progress)) return 0;
  return SLOTS - told.reduce((sum, slots) => sum + slots, facts?.slotMoves?.moving ?? 0);
};

export const databaseReady = (input: ConditionInput): Finding => {
  const type = 'DatabaseReady';
  const finding = shardsReady(input, type);
  const missing = slotsMissing(input);
  return finding.status === 'True' && missing > 0
    ? fails(
        type,
        'SlotsMissing',
        `${finding.message}, but at least ${missing} of ${SLOTS} slots are on none of them: devices there are refused`,
      )
    : finding;
};

const shardsReady = (input: ConditionInput, type: string): Finding => {
  const {shards} = input.progress;
  return dataTier(
    input,
    type,
    'postgres',
    'shards',
    shards,
    {
      reason: 'WriteFailed',
      probes: (input.told.facts?.shards ?? [])
        .filter(({id}) => id < shards.length)
        .map(({id, write}) => ({what: `shard ${id} takes no writes`, probe: write})),
    },
    (shard) => shard.rolling || shards.indexOf(shard) >= input.context.admitted,
  );
};

/** It works on: services declare their queues anew, and devices have what was lost. But who looks for data should know. */
const lostQueues = ({context}: ConditionInput): string | undefined => {
  const [node] = replacedVolumes(context, 'rabbitmq');
  return node === undefined
    ? undefined
    : `broker node ${node} has another volume than before: what waited on that has not reached its shard, and devices send it again a day after it was taken. Once that is known: kubectl annotate secret/${context.names.bootstrap} ${BROKER_VOLUMES}-`;
};

export const brokerReady = (input: ConditionInput): Finding =>
  dataTier(input, 'BrokerReady', 'rabbitmq', 'broker nodes', [input.progress.broker], {
    reason: 'PublishFailed',
    probes: [{what: 'the broker takes no messages', probe: input.told.facts?.broker}],
    lost: lostQueues(input),
  });

export const cacheReady = (input: ConditionInput): Finding =>
  dataTier(input, 'CacheReady', 'redis', 'caches', [input.progress.cache], {
    reason: 'WriteFailed',
    probes: [{what: 'it takes no keys', probe: input.told.facts?.cache}],
  });
