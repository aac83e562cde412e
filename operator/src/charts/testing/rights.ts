import {parseAllDocuments} from 'yaml';
import {type AuditLine} from '../../kube/testing/api-server.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Rules of the roles in a rendered manifest. Bindings have none. */
export const rulesOf = (manifest: string): readonly Rule[] =>
  parseAllDocuments(manifest).flatMap(
    (document) => (document.toJS() as {readonly rules?: readonly Rule[]}).rules ?? [],
  );

/** Each as `verb group/resource`, of which the core group has no name. */
export const granted = (manifest: string): readonly string[] => [
  ...new Set(
    rulesOf(manifest).flatMap(({apiGroups, resources, verbs}) =>
      verbs.flatMap((verb) =>
        resources.flatMap((resource) => apiGroups.map((group) => `${verb} ${group}/${resource}`)),
      ),
    ),
  ),
];

/** What one client was allowed to do, in the same words. */
export const used = (audit: readonly AuditLine[], userAgent: string): ReadonlySet<string> =>
  new Set(
    audit.flatMap(({verb, objectRef, responseStatus, ...line}) => {
      if (line.userAgent !== userAgent || objectRef === undefined || responseStatus?.code === 403) return [];
      const {apiGroup = '', resource, subresource} = objectRef;
      const what = `${apiGroup}/${resource}${subresource === undefined ? '' : `/${subresource}`}`;
      // An apply that makes an object needs the right to create it as well.
      const verbs = verb === 'patch' && responseStatus?.code === 201 ? [verb, 'create'] : [verb];
      return verbs.map((each) => `${each} ${what}`);
    }),
  );
