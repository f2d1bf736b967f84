// The example of a new task in the OpenAPI document.

export const TASK_EXAMPLE = {
  origin: {
    org_id: '01890a5d-ac96-774b-bcce-b302099a8057',
    product: 'threatlabs',
    request_id: 'IR-48219',
    created_by: 'system',
    created_at: '2026-02-04T19:21:00Z',
  },
  task_type: 'verification',
  domain: 'security',
  title: 'Verify endpoint owner activity',
  instructions: 'Call the endpoint owner and confirm the 03:42 UTC PowerShell session.',
  context: {
    background: 'EDR flagged anomalous activity; automation needs human confirmation.',
    constraints: ['Do not disclose internal case ID'],
    risk_notes: ['Potential active compromise'],
  },
  sla: { urgency: 'high', deadline: '2026-02-04T19:36:00Z', target_latency_seconds: 600 },
  requirements: {
    skills: ['phone_verification', 'incident_response'],
    certifications: ['soc-operator'],
    trust_level: 4,
    min_rating: 4.8,
    worker_pool_id: 'pool-uuid',
  },
  output: {
    expected_format: 'structured_json',
    schema: { reached_user: 'boolean', user_confirmed: 'boolean', notes: 'string' },
    evidence_required: true,
  },
  handoff: {
    callback_url: 'https://example.com/webhooks/biolayer',
    callback_auth: { type: 'bearer', token: 'redacted' },
    retry_policy: { max_retries: 6, backoff_seconds: 30 },
  },
  audit: { log_required: true, retain_days: 365 },
};
