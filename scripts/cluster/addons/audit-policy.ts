/** Who did what to which object, without bodies. Nodes renew leases all the time: that would only fill the disk. */
export const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    {
      level: 'None',
      userGroups: ['system:nodes'],
      resources: [{group: 'coordination.k8s.io', resources: ['leases']}],
    },
    {level: 'None', nonResourceURLs: ['/readyz*', '/livez*', '/healthz*', '/openapi*', '/version*']},
    {level: 'Metadata'},
  ],
};
