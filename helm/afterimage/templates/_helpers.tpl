{{- define "afterimage.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "afterimage.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "afterimage.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "afterimage.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Labels that select: call with (list $ "worker"). They never change between releases. */ -}}
{{- define "afterimage.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "afterimage.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "afterimage.labels" -}}
{{- $root := index . 0 -}}
{{ include "afterimage.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "afterimage.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "afterimage.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "afterimage.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* The region: as set, or as the queue's URL says. */ -}}
{{- define "afterimage.region" -}}
{{- if .Values.queue.region -}}
{{- .Values.queue.region -}}
{{- else if regexMatch "^https://sqs\\.[a-z0-9-]+\\.amazonaws\\." .Values.queue.url -}}
{{- regexReplaceAll "^https://sqs\\.([a-z0-9-]+)\\.amazonaws\\..*$" .Values.queue.url "${1}" -}}
{{- end -}}
{{- end -}}

{{- /* What migrating needs is made before anything else and goes when it has been done, under names of its own: an object
of the release is not there yet, and what a hook makes is neither rolled back nor uninstalled. Call with (list $ $part name);
the part of the migration is (dict "hook" true). */ -}}
{{- define "afterimage.settingsName" -}}
{{- include "afterimage.fullname" (index . 0) }}{{ if (index . 1).hook }}-migrate{{ end }}-settings
{{- end -}}

{{- define "afterimage.secretName" -}}
{{- index . 2 }}{{ if and (index . 1).hook (hasKey (index . 0).Values.externalSecrets.secrets (index . 2)) }}-migrate{{ end }}
{{- end -}}

{{- /* The secrets that migrating mounts, as JSON: {"names": […]}. */ -}}
{{- define "afterimage.migrateSecrets" -}}
{{- $names := list .Values.digestKey.existingSecret -}}
{{- if eq .Values.store.kind "mongodb" -}}
{{- $names = concat $names (list .Values.store.mongodb.existingSecret .Values.store.mongodb.tlsSecret) -}}
{{- else -}}
{{- $names = concat $names (list .Values.store.cassandra.existingSecret .Values.store.cassandra.tls.existingSecret) -}}
{{- end -}}
{{- dict "names" (compact $names | uniq) | toJson -}}
{{- end -}}

{{- /* Environment of every container: where the trail is kept. Call with (list $ $part). */ -}}
{{- define "afterimage.storeEnv" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
- name: AFTERIMAGE_STORE
  value: {{ $root.Values.store.kind }}
{{- if has $root.Values.store.kind (list "cassandra" "scylla") }}
{{- with $root.Values.store.cassandra }}
- name: AFTERIMAGE_CASSANDRA_NODES
  value: {{ join "," .nodes | quote }}
- name: AFTERIMAGE_CASSANDRA_KEYSPACE
  value: {{ .keyspace | quote }}
- name: AFTERIMAGE_CASSANDRA_CONSISTENCY
  value: {{ .consistency | quote }}
{{- with .datacenter }}
- name: AFTERIMAGE_CASSANDRA_DATACENTER
  value: {{ . | quote }}
{{- end }}
{{- with .replication }}
- name: AFTERIMAGE_CASSANDRA_REPLICATION
  value: {{ . | quote }}
{{- end }}
{{- with .username }}
- name: AFTERIMAGE_CASSANDRA_USERNAME
  value: {{ . | quote }}
{{- end }}
{{- if .existingSecret }}
- name: AFTERIMAGE_CASSANDRA_PASSWORD_FILE
  value: /etc/afterimage/store/{{ .passwordKey }}
{{- end }}
{{- if .tls.existingSecret }}
- name: AFTERIMAGE_CASSANDRA_TLS_CA
  value: /etc/afterimage/tls/{{ .tls.caKey }}
{{- with .tls.certKey }}
- name: AFTERIMAGE_CASSANDRA_TLS_CERT
  value: /etc/afterimage/tls/{{ . }}
{{- end }}
{{- with .tls.keyKey }}
- name: AFTERIMAGE_CASSANDRA_TLS_KEY
  value: /etc/afterimage/tls/{{ . }}
{{- end }}
{{- with .tls.serverName }}
- name: AFTERIMAGE_CASSANDRA_TLS_SERVER_NAME
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- else if eq $root.Values.store.kind "mongodb" }}
{{- with $root.Values.store.mongodb }}
- name: AFTERIMAGE_MONGODB_URI
  valueFrom:
    secretKeyRef:
      name: {{ include "afterimage.secretName" (list $root $part .existingSecret) }}
      key: {{ .uriKey }}
- name: AFTERIMAGE_MONGODB_DATABASE
  value: {{ .database | quote }}
{{- if .tlsSecret }}
- name: AFTERIMAGE_MONGODB_TLS_CA
  value: /etc/afterimage/tls/{{ .caKey }}
{{- end }}
{{- end }}
{{- else }}
- name: AFTERIMAGE_SQLITE_PATH
  value: /var/lib/afterimage/afterimage.db
{{- end }}
{{- end -}}

{{- /* What else every container is told. Call with (list $ $part), part being worker or api. */ -}}
{{- define "afterimage.env" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{ include "afterimage.storeEnv" . }}
- name: AFTERIMAGE_LOG_FORMAT
  value: json
{{- with (include "afterimage.region" $root) }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- with $root.Values.queue.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- if $root.Values.settings }}
- name: AFTERIMAGE_CONFIG
  value: /etc/afterimage/settings/afterimage.toml
{{- end }}
{{- if $root.Values.digestKey.existingSecret }}
- name: AFTERIMAGE_DIGEST_KEY_FILE
  value: /etc/afterimage/digest/{{ $root.Values.digestKey.key }}
{{- end }}
{{- /* glibc makes an arena for each core: two are enough, and the peak is what the limit is set by. */}}
- name: MALLOC_ARENA_MAX
  value: "2"
{{- with $root.Values.extraEnv }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- with $part.extraEnv }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- end -}}

{{- define "afterimage.volumes" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $store := $root.Values.store -}}
{{- if $root.Values.settings }}
- name: settings
  configMap:
    name: {{ include "afterimage.settingsName" (list $root $part) }}
{{- end }}
{{- with $root.Values.digestKey.existingSecret }}
- name: digest
  secret:
    secretName: {{ include "afterimage.secretName" (list $root $part .) }}
{{- end }}
{{- if has $store.kind (list "cassandra" "scylla") }}
{{- with $store.cassandra.existingSecret }}
- name: store
  secret:
    secretName: {{ include "afterimage.secretName" (list $root $part .) }}
{{- end }}
{{- with $store.cassandra.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ include "afterimage.secretName" (list $root $part .) }}
{{- end }}
{{- end }}
{{- if and (eq $store.kind "mongodb") $store.mongodb.tlsSecret }}
- name: tls
  secret:
    secretName: {{ include "afterimage.secretName" (list $root $part $store.mongodb.tlsSecret) }}
{{- end }}
{{- if eq $store.kind "sqlite" }}
- name: data
  persistentVolumeClaim:
    claimName: {{ default (printf "%s-data" (include "afterimage.fullname" $root)) $store.sqlite.existingClaim }}
{{- end }}
{{- with $part.extraVolumes }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- end -}}

{{- define "afterimage.volumeMounts" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $store := $root.Values.store -}}
{{- if $root.Values.settings }}
- {name: settings, mountPath: /etc/afterimage/settings, readOnly: true}
{{- end }}
{{- if $root.Values.digestKey.existingSecret }}
- {name: digest, mountPath: /etc/afterimage/digest, readOnly: true}
{{- end }}
{{- if and (has $store.kind (list "cassandra" "scylla")) $store.cassandra.existingSecret }}
- {name: store, mountPath: /etc/afterimage/store, readOnly: true}
{{- end }}
{{- if or (and (has $store.kind (list "cassandra" "scylla")) $store.cassandra.tls.existingSecret) (and (eq $store.kind "mongodb") $store.mongodb.tlsSecret) }}
- {name: tls, mountPath: /etc/afterimage/tls, readOnly: true}
{{- end }}
{{- if eq $store.kind "sqlite" }}
- {name: data, mountPath: /var/lib/afterimage}
{{- end }}
{{- with $part.extraVolumeMounts }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- end -}}

{{- /* Where pods run. Call with (list $ $part "worker"). */ -}}
{{- define "afterimage.scheduling" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $component := index . 2 -}}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity: {{- tpl (toYaml .) $root | nindent 2 }}
{{- end }}
{{- with $part.topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
  - {{ toYaml . | indent 4 | trim }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels: {{- include "afterimage.selectorLabels" (list $root $component) | nindent 8 }}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Changes with what is mounted from this chart, so that pods roll when it does. */ -}}
{{- define "afterimage.checksum" -}}
{{- .Values.settings | sha256sum -}}
{{- end -}}

{{- /* While something else decides how many there are, an upgrade keeps what is: leaving the field out would set it to 1. */ -}}
{{- define "afterimage.replicas" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $scaled := index . 2 -}}
{{- if not $scaled -}}
replicas: {{ index . 3 }}
{{- else -}}
{{- with (lookup "apps/v1" "Deployment" $root.Release.Namespace $name) -}}
replicas: {{ .spec.replicas }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Scales by CPU. Call with (list $ $part "worker"). */ -}}
{{- define "afterimage.autoscaler" -}}
{{- $root := index . 0 -}}
{{- $scaling := (index . 1).autoscaling -}}
{{- $component := index . 2 -}}
{{- $name := printf "%s-%s" (include "afterimage.fullname" $root) $component -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "afterimage.labels" (list $root $component) | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ $scaling.targetCPUUtilizationPercentage }}}
  {{- with $scaling.behavior }}
  behavior: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- /* How many may be away while nodes are drained. Call with (list $ $part "worker"). */ -}}
{{- define "afterimage.disruptionBudget" -}}
{{- $root := index . 0 -}}
{{- $budget := (index . 1).podDisruptionBudget -}}
{{- $component := index . 2 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "afterimage.fullname" $root }}-{{ $component }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "afterimage.labels" (list $root $component) | nindent 4 }}
spec:
  {{- if hasKey $budget "minAvailable" }}
  minAvailable: {{ $budget.minAvailable }}
  {{- else }}
  maxUnavailable: {{ $budget.maxUnavailable }}
  {{- end }}
  selector:
    matchLabels: {{- include "afterimage.selectorLabels" (list $root $component) | nindent 6 }}
{{- end -}}

{{- /* Has the External Secrets operator make a secret. Call with (list $ $part name keys). */ -}}
{{- define "afterimage.externalSecret" -}}
{{- $root := index . 0 -}}
{{- $hook := (index . 1).hook -}}
{{- $name := include "afterimage.secretName" . -}}
{{- $external := $root.Values.externalSecrets -}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "afterimage.labels" (list $root (ternary "migrate" "secrets" (not (not $hook)))) | nindent 4 }}
  {{- if $hook }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-10"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  {{- end }}
spec:
  refreshInterval: {{ $external.refreshInterval }}
  secretStoreRef: {kind: {{ $external.storeRef.kind }}, name: {{ $external.storeRef.name }}}
  # The secret goes with what made it, and never because the store cannot be reached.
  target: {name: {{ $name }}, creationPolicy: Owner, deletionPolicy: Retain}
  data:
    {{- range $key, $remote := index . 3 }}
    - secretKey: {{ $key }}
      remoteRef: {{- toYaml $remote | nindent 8 }}
    {{- end }}
{{- end -}}
