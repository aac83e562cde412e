const SUITES = ['check', 'integration', 'e2e', 'browser'] as const;
/** `check` holds the unit tests. */
export type Suite = (typeof SUITES)[number];

const isSuite = (text: string): text is Suite => (SUITES as readonly string[]).includes(text);

/**
 * The suites named in a list such as `integration,e2e`; all of them without a list.
 * @throws Error that names the unknown word and the known ones
 */
export function chosenSuites(list: string | undefined): readonly Suite[] {
  if (list === undefined) return SUITES;
  return list.split(',').map((word) => {
    if (!isSuite(word)) throw new Error(`--only ${list}: there is no suite "${word}"; there are ${SUITES.join(', ')}`);
    return word;
  });
}
