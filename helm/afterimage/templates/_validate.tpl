{{- /* Contradictions, refused with words: what a JSON schema says of them is hard to read. */ -}}
{{- define "afterimage.validate" -}}
{{- $w := .Values.worker -}}
{{- $s := .Values.store -}}
{{- if not .Values.queue.url -}}
{{- fail "queue.url: name the SQS queue that change events come in" -}}
{{- end -}}
{{- if and (eq $s.kind "sqlite") (gt (int $w.replicas) 1) -}}
{{- fail (printf "worker.replicas is %d, and store.kind is sqlite: one file has one writer on one machine. Set worker.replicas to 1, or keep the trail in cassandra, scylla or mongodb" (int $w.replicas)) -}}
{{- end -}}
{{- if and (eq $s.kind "sqlite") (or $w.autoscaling.enabled $w.keda.enabled) -}}
{{- fail "worker.autoscaling and worker.keda scale out, and store.kind is sqlite: one file has one writer. Turn them off, or keep the trail in cassandra, scylla or mongodb" -}}
{{- end -}}
{{- if and (eq $s.kind "sqlite") .Values.api.enabled -}}
{{- fail "api.enabled needs a store that several pods reach, and store.kind is sqlite: keep the trail in cassandra, scylla or mongodb" -}}
{{- end -}}
{{- if and $w.autoscaling.enabled $w.keda.enabled -}}
{{- fail "worker.autoscaling and worker.keda are both enabled: KEDA makes an autoscaler of its own, and two would fight. Enable one" -}}
{{- end -}}
{{- if le (int $w.terminationGracePeriodSeconds) (int $w.gracePeriodSeconds) -}}
{{- fail (printf "worker.terminationGracePeriodSeconds is %d and worker.gracePeriodSeconds %d: Kubernetes would kill a worker before it has given its messages back. Set the first at least 5 above the second" (int $w.terminationGracePeriodSeconds) (int $w.gracePeriodSeconds)) -}}
{{- end -}}
{{- if and (has $s.kind (list "cassandra" "scylla")) (not $s.cassandra.nodes) -}}
{{- fail (printf "store.cassandra.nodes: name some nodes of the cluster; store.kind is %s" $s.kind) -}}
{{- end -}}
{{- if and (eq $s.kind "mongodb") (not $s.mongodb.existingSecret) -}}
{{- fail "store.mongodb.existingSecret: name the secret that holds the connection string; store.kind is mongodb" -}}
{{- end -}}
{{- if and $w.keda.enabled (not (include "afterimage.region" .)) -}}
{{- fail "queue.region: KEDA needs it, and queue.url does not tell it" -}}
{{- end -}}
{{- if and .Values.externalSecrets.secrets (not .Values.externalSecrets.storeRef.name) -}}
{{- fail "externalSecrets.storeRef.name: name the SecretStore or ClusterSecretStore that the secrets come from" -}}
{{- end -}}
{{- $a := .Values.api.access -}}
{{- if and .Values.api.enabled (not $a.existingSecret) (not $a.oidc.issuer) (not $a.anonymous) -}}
{{- fail "api.access: nobody could ask. Name a secret with tokens (existingSecret), an OIDC issuer, or set anonymous to true behind something that asks who people are" -}}
{{- end -}}
{{- if and .Values.api.enabled $a.oidc.issuer (not $a.oidc.audience) -}}
{{- fail "api.access.oidc.audience: without it any token of the issuer would be taken" -}}
{{- end -}}
{{- if and .Values.worker.podDisruptionBudget.enabled (hasKey .Values.worker.podDisruptionBudget "minAvailable") (ge (int .Values.worker.podDisruptionBudget.minAvailable) (int $w.replicas)) (not $w.autoscaling.enabled) (not $w.keda.enabled) -}}
{{- fail "worker.podDisruptionBudget.minAvailable is not below worker.replicas: no node could ever be drained" -}}
{{- end -}}
{{- end -}}
