import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {metadataOf} from '../labels.ts';

/** The one identity of a region at the API server, with the one right that it needs: to apply its facts. */
export const keeperAccess = (
  context: RegionContext,
): {readonly account: Desired; readonly role: Desired; readonly binding: Desired} => {
  const {names, namespace} = context;
  const metadata = metadataOf(context, names.keeper, 'keeper');
  return {
    account: {manifest: {...KINDS.serviceAccount, metadata, automountServiceAccountToken: false}},
    role: {
      manifest: {
        ...KINDS.role,
        metadata,
        rules: [{apiGroups: [''], resources: ['configmaps'], resourceNames: [names.facts], verbs: ['patch']}],
      },
    },
    binding: {
      manifest: {
        ...KINDS.roleBinding,
        metadata,
        roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: names.keeper},
        subjects: [{kind: 'ServiceAccount', name: names.keeper, namespace}],
      },
    },
  };
};
