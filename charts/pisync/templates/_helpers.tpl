{{- define "pisync.name" -}}
{{- if contains "pisync" .Release.Name }}{{ printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-pisync-operator" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "pisync.selector" -}}
app.kubernetes.io/name: pisync-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pisync.labels" -}}
{{ include "pisync.selector" . }}
app.kubernetes.io/part-of: pisync
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
