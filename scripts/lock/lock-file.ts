/** A package of package-lock.json, or of the copy of it that npm leaves in node_modules to say what it installed. Has more members than are named here. */
export interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
  readonly optional?: boolean;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface LockFile {
  /** By folder: of a workspace, or of a package below some node_modules. */
  readonly packages: Readonly<Record<string, LockEntry>>;
}

/** @throws Error when it is not JSON or not a lock file of npm 7 or newer */
export const parseLock = (text: string): LockFile => {
  const lock: unknown = JSON.parse(text);
  if (typeof lock !== 'object' || lock === null || !('packages' in lock))
    throw new Error('this is not a lock file of npm 7 or newer');
  // npm's own format, version 3: https://docs.npmjs.com/cli/configuring-npm/package-lock-json
  return lock as LockFile;
};

export const writeLock = (lock: LockFile): string => `${JSON.stringify(lock, null, 2)}\n`;

const FROM_REGISTRY = 'node_modules/';

/** Folders of the workspaces; the root itself is the empty one. */
export const workspacesOf = (lock: LockFile): readonly string[] =>
  Object.keys(lock.packages).filter((path) => !path.includes(FROM_REGISTRY));

const isComplete = ({version, integrity, link}: LockEntry): boolean =>
  link === true || (version !== undefined && integrity !== undefined);

/** Entries that no npm can install from; npm writes them while the registry does not serve a package that only other platforms need. */
export const incompleteEntries = (lock: LockFile): readonly string[] =>
  Object.entries(lock.packages)
    .filter(([path, found]) => path.includes(FROM_REGISTRY) && !isComplete(found))
    .map(([path]) => path);

const nameOf = (path: string): string => path.slice(path.lastIndexOf(FROM_REGISTRY) + FROM_REGISTRY.length);

/** The versions of a package that others ask for, as they write them. */
const wishesFor = (lock: LockFile, name: string): readonly string[] => [
  ...new Set(
    Object.values(lock.packages).flatMap(({dependencies, optionalDependencies}) => [
      ...(dependencies?.[name] === undefined ? [] : [dependencies[name]]),
      ...(optionalDependencies?.[name] === undefined ? [] : [optionalDependencies[name]]),
    ]),
  ),
];

/** Where node looks for a package when the one whose node_modules hold `path` asks for it, nearest first: there and in every folder above. */
const placesSeenFrom = (path: string): readonly string[] => {
  const name = nameOf(path);
  const places = [path];
  for (let end = path.length - FROM_REGISTRY.length - name.length; end > 0;) {
    const at = path.lastIndexOf(`/${FROM_REGISTRY}`, end - 2);
    end = at + 1;
    places.push(`${path.slice(0, end)}${FROM_REGISTRY}${name}`);
  }
  return places;
};

/**
 * The new lock with what it lacks taken from the last one: a package that the registry does not serve today is the same package as before, if the same
 * version of it is asked for. npm puts what it cannot resolve beside its parent, so an entry goes back to where it was if its parent finds it there, and
 * otherwise stays beside it: where it was may be the folder of a package that is gone.
 *
 * @throws Error that names the packages for which the last lock has no entry of that version
 */
export const completed = (lock: LockFile, last: LockFile): LockFile => {
  const packages = new Map(Object.entries(lock.packages));
  const missing: string[] = [];
  for (const path of incompleteEntries(lock)) {
    const name = nameOf(path);
    const wishes = wishesFor(lock, name);
    const known = Object.entries(last.packages).filter(
      ([place, old]) =>
        nameOf(place) === name && isComplete(old) && old.version !== undefined && wishes.includes(old.version),
    );
    const entry = known[0]?.[1];
    if (entry === undefined || wishes.length !== 1) {
      missing.push(`${name}@${wishes.join(', ')}`);
      continue;
    }
    packages.delete(path);
    const seen = placesSeenFrom(path);
    const taken = seen.find((place) => packages.has(place));
    const free = taken === undefined ? seen : seen.slice(0, seen.indexOf(taken));
    // The same one may have been put there for another parent.
    if (taken !== undefined && packages.get(taken)?.version === entry.version) continue;
    packages.set(free.find((place) => known.some(([old]) => old === place)) ?? path, entry);
  }
  if (missing.length > 0)
    throw new Error(
      `the registry does not serve ${missing.join(' and ')}, and the last lock has no entry for it: package-lock.json stays as it was. Try again on another day or with another registry, or keep the old version of what needs it`,
    );
  const sorted = [...packages].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {...lock, packages: Object.fromEntries(sorted)};
};
