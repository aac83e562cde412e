import {expect, test} from '@jest/globals';
import {SimulatedRegion} from './testing/simulated-region.ts';

const MINIMAL = {region: 'eu-west'};

const condition = (region: SimulatedRegion, type: string) =>
  region.status.conditions?.find((candidate) => candidate.type === type);

test('the cluster removes a failed migration a minute later, by its own clock, and it is made again', () => {
  const region = new SimulatedRegion(MINIMAL);
  region.settle();
  region.makeReady('StatefulSet');
  region.settle();
  const job = 'eu-migrate-0-v1-92a6c1';
  region.set('Job', job, {conditions: [{type: 'Failed', status: 'True'}]});
  region.settle();
  expect(region.find('Job', job)).toMatchObject({spec: {ttlSecondsAfterFinished: 60}});
  expect(condition(region, 'SchemaMigrated')).toMatchObject({status: 'False', reason: 'MigrationFailed'});
  region.objects.delete(`batch/v1/Job/sync/${job}`);
  expect(region.pass()).toEqual([`Job/${job}`]);
  region.settle();
  expect(region.find('Job', job)).not.toMatchObject({spec: {ttlSecondsAfterFinished: 60}});
  expect(condition(region, 'SchemaMigrated')).toMatchObject({status: 'False', reason: 'Migrating'});
});

test.each([
  ['another version', {version: '1.2.4'}],
  ['an older version', {version: '1.0.0'}],
])('%s brings its own schema before the services get it, and the way back needs none', (_, change) => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const jobs = region.names('Job').toSorted();
  region.change(change);
  region.settle();
  const image = `pisync:${change.version}`;
  const added = region.names('Job').filter((name) => !jobs.includes(name));
  expect(added.map((name) => JSON.stringify(region.find('Job', name)).includes(image))).toEqual([true, true]);
  expect(JSON.stringify(region.find('Deployment', 'eu-worker'))).not.toContain(image);
  expect(region.status.phase).toBe('Updating');

  region.change({version: undefined});
  region.settle();
  expect(region.names('Job').toSorted()).toEqual(jobs);
  expect(region.status.phase).toBe('Ready');

  region.change(change);
  region.settle();
  region.completeJobs();
  region.settle();
  expect(region.names('Job')).toEqual(added);
  expect(JSON.stringify(region.find('Deployment', 'eu-worker'))).toContain(image);
  region.makeReady('Deployment');
  region.settle();
  expect(region.status.phase).toBe('Ready');
});

test('a migration that runs is ended before one with another image is made', () => {
  const region = new SimulatedRegion(MINIMAL);
  region.settle();
  region.makeReady('StatefulSet');
  region.settle();
  const jobs = region.names('Job');
  region.change({version: '1.2.4'});
  region.pass();
  expect(region.names('Job')).toEqual([]);
  region.settle();
  expect(region.names('Job')).toHaveLength(2);
  expect(region.names('Job').some((name) => jobs.includes(name))).toBe(false);
});
