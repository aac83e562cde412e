import axe from 'axe-core';
import type {Page} from 'playwright-core';

/** All rules, also those that axe leaves out unless it is asked. */
const RULES = {
  'label-content-name-mismatch': {enabled: true},
  'link-in-text-block': {enabled: true},
  'target-size': {enabled: true},
  'page-has-heading-one': {enabled: true},
  'scrollable-region-focusable': {enabled: true},
};

/** What axe finds on the page as it is. */
export const violationsOf = async (shown: Page): Promise<readonly string[]> => {
  await shown.evaluate(axe.source);
  // The page's own axe, which was just put there.
  const {violations} = await shown.evaluate<axe.AxeResults>(
    `axe.run(document, ${JSON.stringify({rules: RULES, resultTypes: ['violations']})})`,
  );
  return violations.flatMap(({id, nodes}) => nodes.map(({html}) => `${id}: ${html.slice(0, 200)}`));
};
