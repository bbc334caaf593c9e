{{- define "trunkline.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "trunkline.selector" -}}
app.kubernetes.io/name: trunkline
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "trunkline.labels" -}}
{{ include "trunkline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* What every gateway is, whatever keeps its journal. */}}
{{- define "trunkline.pod" -}}
metadata:
  labels:
    {{- include "trunkline.labels" . | nindent 4 }}
  annotations:
    # A change of the configuration replaces the pods, one after the other.
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "trunkline.name" . }}
  automountServiceAccountToken: false
  # The time in which the cluster learns that the pod leaves, the grace of running calls, and the shipping of what they
  # cost.
  terminationGracePeriodSeconds: {{ add .Values.shutdownDelay .Values.shutdownGrace 20 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: gateway
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      ports:
        - name: http
          containerPort: 8080
        - name: grpc
          containerPort: 50051
        - name: metrics
          containerPort: 9090
      env:
        - name: TRUNKLINE_STORE_URL
          valueFrom:
            secretKeyRef:
              name: {{ .Values.database.secretName }}
              key: {{ .Values.database.secretKey }}
        - name: TRUNKLINE_COUNTERS_URL
          valueFrom:
            secretKeyRef:
              name: {{ .Values.counters.secretName }}
              key: {{ .Values.counters.secretKey }}
        - name: TRUNKLINE_COUNTERS_REPLICAS
          value: {{ .Values.replicas | quote }}
        # Calls still come until every proxy has learnt that the pod leaves.
        - name: TRUNKLINE_SHUTDOWN_DELAY
          value: {{ .Values.shutdownDelay | quote }}
        - name: TRUNKLINE_SHUTDOWN_GRACE
          value: {{ .Values.shutdownGrace | quote }}
        {{- with .Values.admin.secretName }}
        - name: TRUNKLINE_ACCESS_ADMIN_KEY
          valueFrom:
            secretKeyRef:
              name: {{ . }}
              key: {{ $.Values.admin.secretKey }}
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        failureThreshold: 60
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/trunkline
          readOnly: true
        - name: journal
          mountPath: /var/lib/trunkline
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: config
      configMap:
        name: {{ include "trunkline.name" . }}
    - name: tmp
      emptyDir: {}
    {{- if not .Values.journal.persistent }}
    - name: journal
      emptyDir: {}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
