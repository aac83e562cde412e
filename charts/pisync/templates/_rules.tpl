{{- /* What the operator may do where regions are. Every rule is a call that it makes; no volume and no Secret can be deleted with them, unless `rbac.protectedOwnerReferences` is set. */ -}}
{{- define "pisync.rules" -}}
# The regions themselves: of what is not status, the operator writes one annotation, which says that it looks after the region, and one
# finalizer, while data would go with it that is to stay. One is read by itself before a StatefulSet of it is deleted.
- apiGroups: [pisync.io]
  resources: [pisyncregions]
  verbs: [get, list, watch, patch]
# To know whether another operator that looks after a region still works.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get]
- apiGroups: [pisync.io]
  resources: [pisyncregions/status]
  verbs: [patch]
# Where ownerReferences are protected, being named as a blocking owner needs this.
- apiGroups: [pisync.io]
  resources: [pisyncregions/finalizers]
  verbs: [update]
# Never deleted but with their region, by the garbage collector.
- apiGroups: ['']
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
# Children, which go when a region does not want them any more; a StatefulSet only of a shard that was never admitted.
- apiGroups: ['']
  resources: [services, serviceaccounts, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# Volumes are grown, never made or deleted.
- apiGroups: ['']
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch]
{{- if .Values.rbac.protectedOwnerReferences }}
# Never deleted by the operator all the same. Where ownerReferences are protected, only who may delete an object may say whom it goes with.
- apiGroups: ['']
  resources: [secrets, persistentvolumeclaims]
  verbs: [delete]
{{- end }}
# To say why something does not run.
- apiGroups: ['']
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# To say where a route leads. The operator does without where it may not.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get]
{{- end }}
