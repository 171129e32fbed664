{{- define "focus.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "focus.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "focus.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "focus.account" -}}
{{- .Values.serviceAccount.name | default (include "focus.name" .) }}
{{- end }}

{{- define "focus.image" -}}
{{ printf "%s:%s" (required "image.repository is needed" .Values.image.repository) (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}

{{/* Security of a pod. */}}
{{- define "focus.pod" -}}
runAsNonRoot: true
runAsUser: {{ .Values.user }}
runAsGroup: {{ .Values.group }}
fsGroup: {{ .Values.group }}
fsGroupChangePolicy: OnRootMismatch
{{- with .Values.supplementalGroups }}
supplementalGroups: {{ toJson . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Security of a container. */}}
{{- define "focus.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Settings that server, drill and job have in common. */}}
{{- define "focus.env" -}}
- name: FOCUS_CONFIG
  value: /etc/focus/focus.toml
{{- if .Values.mongodb.existingSecret }}
- name: FOCUS_MONGODB_URI
  valueFrom:
    secretKeyRef:
      name: {{ .Values.mongodb.existingSecret }}
      key: {{ .Values.mongodb.key }}
{{- end }}
{{- end }}

{{/* Volumes of roots and settings; `readOnly` for the roots: then nobody changes their owner either. */}}
{{- define "focus.roots.volumes" -}}
{{- $readOnly := .readOnly }}
{{- range required "roots: at least one is needed" .Values.roots }}
- name: {{ printf "root-%s" .name }}
  persistentVolumeClaim:
    claimName: {{ required "each root needs the name of its claim" .claim }}
    readOnly: {{ $readOnly }}
{{- end }}
- name: settings
  configMap:
    name: {{ include "focus.name" . }}
{{- end }}

{{/* Mounts of roots and settings; `readOnly` for the roots. */}}
{{- define "focus.roots.mounts" -}}
{{- $readOnly := .readOnly }}
{{- range .Values.roots }}
- name: {{ printf "root-%s" .name }}
  mountPath: {{ .mountPath }}
  readOnly: {{ $readOnly }}
  {{- with .subPath }}
  subPath: {{ . }}
  {{- end }}
  {{- if not .subPath }}
  mountPropagation: HostToContainer
  {{- end }}
{{- end }}
- name: settings
  mountPath: /etc/focus
  readOnly: true
{{- end }}

{{- define "focus.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}
