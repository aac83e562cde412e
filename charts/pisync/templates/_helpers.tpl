{{- /* Name of everything that lives in the release's namespace. The Lease has it too, so two releases in one namespace elect apart. */ -}}
{{- define "pisync.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if .Values.nameOverride -}}
{{ printf "%s-%s" .Release.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains "pisync" .Release.Name -}}
{{ printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-pisync-operator" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Name of what lives outside of namespaces, or in somebody else's: releases of one name in two namespaces must not meet there. */ -}}
{{- define "pisync.clusterName" -}}
{{ printf "%s:%s" .Release.Namespace (include "pisync.name" .) }}
{{- end }}

{{- define "pisync.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "pisync.name" .) }}
{{- else -}}
{{ required "serviceAccount.name is missing: with serviceAccount.create=false it names the account that the operator runs as" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* Never changes, whatever the overrides: a Deployment's selector is immutable. */ -}}
{{- define "pisync.selector" -}}
app.kubernetes.io/name: pisync-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pisync.chartLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: pisync
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "pisync.labels" -}}
{{ merge (dict "app.kubernetes.io/name" "pisync-operator") (include "pisync.chartLabels" . | fromYaml) (.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{- /* Labels of the pod of `helm test`, which no selector of the operator's may find. */ -}}
{{- define "pisync.testLabels" -}}
{{ merge (dict "app.kubernetes.io/name" "pisync-operator-test") (include "pisync.chartLabels" . | fromYaml) (.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{- define "pisync.operatorImage" -}}
{{ required "images.operator is missing: the image of the operator, for example from `make images`" .Values.images.operator }}
{{- end }}

{{- define "pisync.subjects" -}}
- kind: ServiceAccount
  name: {{ include "pisync.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* Where pods of this chart may run, and what pulling their image needs. */ -}}
{{- define "pisync.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
