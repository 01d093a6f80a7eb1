{{- define "sluicegate.labels" -}}
app.kubernetes.io/name: sluicegate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluicegate.shared" -}}
{{- if or .Values.redis.enabled .Values.redis.externalUrl .Values.redis.existingSecret }}yes{{ end }}
{{- end }}

{{- define "sluicegate.check" -}}
{{- if not (index .Values.config "gateway.yaml") }}
{{- fail "config.gateway.yaml is empty: give the gateway its configuration, e.g. --set-file config.gateway\\.yaml=config/gateway.yaml" }}
{{- end }}
{{- $redis := 0 }}
{{- range list .Values.redis.enabled .Values.redis.externalUrl .Values.redis.existingSecret }}{{ if . }}{{ $redis = add1 $redis }}{{ end }}{{ end }}
{{- if gt (int $redis) 1 }}
{{- fail "redis: choose one of enabled, externalUrl and existingSecret" }}
{{- end }}
{{- if and (or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled) (not (include "sluicegate.shared" .)) }}
{{- fail "more than one pod needs a shared store, or each would have limits and idempotency keys of its own: set redis.enabled, redis.externalUrl or redis.existingSecret" }}
{{- end }}
{{- end }}
