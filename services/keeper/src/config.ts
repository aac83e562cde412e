import {ENV} from '@pisync/contract/env';
import {publishVariables} from '@pisync/core/config/broker';
import {defineConfig, variable} from '@pisync/core/config/config';
import {sharedVariables} from '@pisync/core/config/shared';
import {text} from '@pisync/core/config/values';

export const keeperConfig = defineConfig({
  command: 'keeper',
  summary:
    'does what must be done once: partitions ahead and statuses by time for each shard, the chain of the audit, facts for the operator',
  variables: {
    ...sharedVariables,
    ...publishVariables,
    factsConfigMap: variable(
      ENV.factsConfigMap,
      "ConfigMap of the pod's namespace that facts are written into; none are written while unset.",
      text().optional(),
    ),
    apiServer: variable(
      'PISYNC_API_SERVER',
      'Address of the Kubernetes API server.',
      text().default('https://kubernetes.default.svc'),
    ),
    serviceAccountDir: variable(
      'PISYNC_SERVICE_ACCOUNT_DIR',
      "Folder of the pod's service account token.",
      text().default('/var/run/secrets/kubernetes.io/serviceaccount'),
    ),
  },
});
