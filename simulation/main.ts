/** `make simulate`: many seeds, one with its story, or every mutant until it is caught. */
import {parseArgs} from 'node:util';
import {FAULTS} from './faults.ts';
import {KNOWN_VIOLATIONS} from './judge/known-violations.ts';
import {type Catch, huntMutant} from './mutants/hunt.ts';
import {MUTANTS} from './mutants/mutants.ts';
import {type Outcome, runSeed} from './run.ts';
import {runSeeds, type SeedResult} from './seeds.ts';

const HELP = `usage: node simulation/main.ts [--seeds N] [--from SEED] [--seed SEED] [--mutants]

  --seeds N      runs so many seeds (1000), from --from (1) on, on every processor; the first that breaks a law is told as a story
  --seed SEED    runs one and tells its story
  --mutants      puts each known mistake into the region, and counts the seeds until a law catches it
  --mutant NAME  with --seed: the story of one with that mistake

Exit code 1 when a law is broken, a mutant is not caught, or it was stopped before the end. As make targets:
  make simulate SEEDS=10000     make simulate SEED=123     make simulate MUTANTS=1
`;

const HUNTS = 5;
const MOST_SEEDS_A_HUNT = 3_000;
const print = (text: string): void => void process.stdout.write(`${text}\n`);

const stopping = new AbortController();
process.once('SIGINT', () => stopping.abort());
process.once('SIGTERM', () => stopping.abort());

const tell = ({seed, story, violations, known, hash}: Outcome, mutant: string | undefined): void => {
  for (const line of story) print(line);
  print('');
  for (const {law, device, detail} of violations) print(`BROKEN  ${law}\n        ${device ?? 'the region'}: ${detail}`);
  for (const name of known) print(`known   ${name}: ${KNOWN_VIOLATIONS.find((one) => one.name === name)?.why ?? ''}`);
  if (violations.length === 0) print(`seed ${seed} breaks no law`);
  print(
    `again:  make simulate SEED=${seed}${mutant === undefined ? '' : `  (node simulation/main.ts --seed ${seed} --mutant "${mutant}")`}`,
  );
  print(`hash:   ${hash}`);
};

const runOne = async (seed: number, name: string | undefined): Promise<number> => {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (name !== undefined && mutant === undefined) {
    print(`there is no mutant "${name}"; there are: ${MUTANTS.map((one) => one.name).join(', ')}`);
    return 2;
  }
  const outcome = await runSeed({seed, isTold: true, mutant});
  tell(outcome, name);
  return outcome.violations.length > 0 ? 1 : 0;
};

const runMany = async (from: number, count: number): Promise<number> => {
  const beganAt = performance.now();
  let [done, batches, events, virtualMs] = [0, 0, 0, 0];
  const broken: number[] = [];
  const known = new Map<string, number>();
  const rate = (): number => done / ((performance.now() - beganAt) / 1000);
  let saidAt = beganAt;
  print(`${count} seeds from ${from}; ${FAULTS.length} kinds of faults`);
  const take = (result: SeedResult): void => {
    done += 1;
    batches += result.batches;
    events += result.events;
    virtualMs += result.tookMs;
    for (const name of result.known) known.set(name, (known.get(name) ?? 0) + 1);
    if (result.isBroken) broken.push(result.seed);
    if (performance.now() - saidAt < 1000) return;
    saidAt = performance.now();
    print(`${done} of ${count} seeds, ${rate().toFixed(1)}/s, ${batches} batches, ${broken.length} broken`);
  };
  await runSeeds(from, count, take, stopping.signal);
  broken.sort((a, b) => a - b);
  if (broken[0] !== undefined) tell(await runSeed({seed: broken[0], isTold: true}), undefined);
  print(
    `${done} seeds, ${rate().toFixed(1)}/s: ${batches} batches, ${events} events, ${(virtualMs / 3_600_000).toFixed(1)} hours of a region's life`,
  );
  for (const [name, times] of known) print(`known: ${name}, in ${times} seeds`);
  print(broken.length === 0 ? 'no law is broken' : `broken: seeds ${broken.slice(0, 20).join(', ')}`);
  if (done < count) print(`stopped after ${done} of ${count} seeds`);
  return broken.length === 0 && done === count ? 0 : 1;
};

const runMutants = async (): Promise<number> => {
  const catches: Catch[] = [];
  for (const mutant of MUTANTS) {
    const found = await huntMutant(mutant, {
      ...{hunts: HUNTS, mostSeeds: MOST_SEEDS_A_HUNT, signal: stopping.signal},
      onProgress: (seeds, caught) => print(`${mutant.name}: ${seeds} seeds, caught ${caught} times`),
    });
    if (stopping.signal.aborted) break;
    catches.push(found);
    print(`${found.mutant}: ${found.law ?? 'not caught'}, seeds ${found.seeds.join(', ')}`);
  }
  print('\n| mutant | caught by | seeds until then, median |\n|---|---|---|');
  for (const {mutant, law, median} of catches) print(`| ${mutant} | ${law ?? 'not caught'} | ${median ?? '-'} |`);
  return catches.length === MUTANTS.length && catches.every(({law}) => law !== undefined) ? 0 : 1;
};

const wholeNumber = (name: string, text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new TypeError(`--${name} must be a whole number, not "${text}"`);
  return Number(text);
};

const main = async (): Promise<number> => {
  try {
    const {values} = parseArgs({
      options: {
        seeds: {type: 'string', default: '1000'},
        from: {type: 'string', default: '1'},
        seed: {type: 'string'},
        mutants: {type: 'boolean', default: false},
        mutant: {type: 'string'},
        help: {type: 'boolean', default: false},
      },
    });
    if (values.help) {
      print(HELP);
      return 0;
    }
    if (values.mutants) return await runMutants();
    if (values.seed !== undefined) return await runOne(wholeNumber('seed', values.seed), values.mutant);
    return await runMany(wholeNumber('from', values.from), wholeNumber('seeds', values.seeds));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n\n${HELP}`);
    return 2;
  }
};

process.exitCode = await main();
