// Preset dictionaries for the JSON of final tasks. They are part of the data layout: never change one for existing data, add
// another.

/** For JSON text that was deflated as it is. The most common texts are last. */
export const FIRST_DICTIONARY = Buffer.from(
  [
    '"task.cancelled","cancelled","task.failed","failed","code":"deadline_exceeded","message":"rejected"',
    '"task.sla_breached",{"clock":"deadline","due_at":"","breached_at":"","target_latency"}',
    '"metadata":{},"context":{"background":"","constraints":[""],"risk_notes":[""],"data":{}}',
    '"critical","low","normal","text","manual","auto_approve_after_seconds":"domain":"security"',
    '"requirements":{"skills":[""],"certifications":[""],"trust_level":,"min_rating":,"worker_pool_id":""}',
    '"callback_auth":{"type":"none","type":"basic","username":"type":"bearer","token":"}',
    '"retry_policy":{"max_retries":6,"backoff_seconds":30},"events":["task.created","task.queued",',
    '"task.matched","task.offered","task.accepted","task.started","task.submitted","task.verified",',
    '"task.completed","task.failed","task.cancelled","task.sla_breached"]}',
    '{"origin":{"product":"","request_id":"","created_by":"system","created_by":"api","created_at":"","org_id":"',
    '"task_type":"","domain":"","title":"","instructions":"","sla":{"urgency":"high","deadline":"',
    '"target_latency_seconds":600},"output":{"expected_format":"structured_json","schema":{"":"boolean"},',
    '"evidence_required":true,"evidence_required":false,"review":{"mode":"auto"}},',
    '"handoff":{"callback_url":"https://","audit":{"log_required":true,"retain_days":365}}',
    '{"status":"completed","sequence":9,"attempt":1,"created_at":1,"updated_at":1,"status_changed_at":1,"completed_at":1',
    '"offers":[{"offer_id":"","worker_id":"","status":"accepted","offered_at":,"expires_at":}],"declines":[],',
    '"assignment":{"worker_id":"","offer_id":"","offered_at":,"accepted_at":,"started_at":,"submitted_at":},',
    '"submission":{"output":{},"evidence":[{"evidence_id":"","name":"","media_type":"","bytes":,"sha256":"}],',
    '"notes":null,"worker_id":"","submitted_at":},"feedback":null,"breaches":[],"failure":null,',
    '"cancellation":null,"reviews":[]}',
    '["","task.created","created",null,"","api_key:',
    '["","task.queued","queued","created","","api_key:",1,{"reason":"created"},"',
    '["","task.matched","matched","queued","","system",1,{"worker_id":"',
    '["","task.offered","offered","matched","","system",1,{"offer_id":"","worker_id":"","expires_at":"',
    '["","task.accepted","accepted","offered","","worker:",1,{"worker_id":"',
    '["","task.started","started","accepted","","worker:",1,{"worker_id":"',
    '["","task.submitted","submitted","started","","worker:",1,{"worker_id":"',
    '["","task.verified","verified","submitted","","system",1,{},"',
    '["","task.completed","completed","verified","","system",1,{"result":{"output":{},"evidence":[],"notes":null,',
  ].join(''),
);

/** For text with control characters in place of values; see `packing.ts`. The most common texts are last. */
const SECOND_TEXT = [
  // What few tasks have.
  '"copies":[{"task_id":"","copy_of":""not_before":"task_type_version":"metadata_since":"input_changed_at":',
  '"relaxation":[{"after_seconds":"escalations":[{"after_seconds":,"while":"unassigned","unfinished","notify_members":',
  '"on_deadline":{"action":"complete","output":"worker_ids":["excluded_worker_ids":["excluded_tasks":["min_accuracy":',
  '"agreement":{"mode":"majority","threshold":"fields":["tolerance":"gold":{"output":',
  '"type":"object","properties":{"additionalProperties":false,"required":["array","items":{"enum":["format":"description":"',
  '"task.escalated","task.disputed","task.reported","task.updated","task.assigned","task.message_added",',
  '"task.question_asked","task.question_answered","task.requeued","reason":"declined","expired","released","revoked","withdrawn"',
  '"task.cancelled","cancelled","task.failed","failed","failure":{"code":"deadline_exceeded","message":"rejected","attempts_exhausted"',
  '"cancellation":{"reason":"cancelled_by":"evidence":[{"evidence_id":"\x02","name":".pdf","media_type":"image/png","bytes":,"sha256":"\x03"}]',
  '"reviews":[{"decision":"approve","rework","reassign","reject","feedback":null,"rating":5,"reviewer":"member:"at":\x05',
  '"metadata":{"context":{"background":"","constraints":[""],"risk_notes":[""],"data":{}}',
  '"critical","low","normal","medium","text","manual","auto_approve_after_seconds":"ordering":"per_task"',
  // The input.
  '[{"origin":{"product":"","request_id":"","created_by":"system","created_by":"api","org_id":"\x02","created_at":"\x04"},"task_type":"',
  '","domain":"","title":"","instructions":"","sla":{"urgency":"high","deadline":"\x04","target_latency_seconds":600},',
  '"output":{"expected_format":"structured_json","evidence_required":true,"evidence_required":false,"review":{"mode":"auto"},',
  '"schema":{"":"boolean","":"string","":"number","":"integer","notes":"string"}},"audit":{"log_required":true,"retain_days":365},',
  '"context":{"background":"","constraints":[""],"risk_notes":[""]},"requirements":{"skills":["",""],"certifications":[""],',
  '"trust_level":4,"min_rating":4,"worker_pool_id":""},"handoff":{"callback_url":"https://","callback_auth":{"type":"none"},',
  '"callback_auth":{"type":"basic","username":"","callback_auth":{"type":"bearer","sealed":"s1."},',
  '"retry_policy":{"max_retries":6,"backoff_seconds":30},"events":["task.created","task.queued","task.matched","task.offered",',
  '"task.accepted","task.started","task.submitted","task.verified","task.completed","task.failed","task.cancelled",',
  '"task.sla_breached"]}},{"status":"completed","sequence":9,"attempt":1,"created_at":\x05,"updated_at":\x05,',
  // The state.
  '"status_changed_at":\x070,"step":0,"completed_at":\x070,"offers":[{"offer_id":"\x02","worker_id":"\x02","expires_at":\x05,',
  '"status":"accepted","offered_at":\x05}],"declines":[],"assignment":{"worker_id":"\x012","incarnation":"\x02","offer_id":"\x011",',
  '"offered_at":\x070,"accepted_at":\x05,"started_at":\x05,"submitted_at":\x05},"submission":{"output":{"notes":"","evidence":[],',
  '"notes":null,"worker_id":"\x012","submitted_at":\x070},"reviews":[],"breaches":[{"clock":"deadline","due_at":\x05,"breached_at":\x05}],',
  '"breaches":[{"clock":"target_latency","due_at":\x05,"breached_at":\x05}],"failure":null,"cancellation":null,',
  // The history of a task that was late.
  '"assigned_workers":["\x012"]},[["","task.created","created",null,"\x068","api_key:\x02",1,{},""],',
  '["","task.queued","queued","created","\x060","api_key:\x014",1,{"reason":"created"},""],',
  '["","task.matched","matched","queued","\x066","system",1,{"worker_id":"\x012"},""],',
  '["","task.offered","offered","matched","\x060","system",1,{"offer_id":"\x011","worker_id":"\x012","expires_at":"\x067"},""],',
  '["","task.sla_breached","offered","offered","\x063","system",1,{"clock":"target_latency","due_at":"\x064","breached_at":"\x061"},""],',
  '["","task.accepted","accepted","offered","\x067","worker:\x012",1,{"worker_id":"\x012","offer_id":"\x011"},""],',
  '["","task.started","started","accepted","\x067","worker:\x012",1,{"worker_id":"\x012"},""],',
  '["","task.submitted","submitted","started","\x067","worker:\x012",1,{"worker_id":"\x012"},""],',
  '["","task.verified","verified","submitted","\x068","system",1,{"mode":"auto"},""],',
  '["","task.completed","completed","verified","\x060","system",1,{"result":{"output":{"notes":"},"evidence":[],"notes":null,',
  '"worker_id":"\x012","submitted_at":"\x061"}},""]],"\x03",1]',
  // The history.
  '"reviews":[],"breaches":[],"failure":null,"cancellation":null,',
  '"assigned_workers":["\x012"]},[["","task.created","created",null,"\x066","api_key:\x02",1,{},""],',
  '["","task.queued","queued","created","\x060","api_key:\x014",1,{"reason":"created"},""],',
  '["","task.matched","matched","queued","\x064","system",1,{"worker_id":"\x012"},""],',
  '["","task.offered","offered","matched","\x060","system",1,{"offer_id":"\x011","worker_id":"\x012","expires_at":"\x065"},""],',
  '["","task.accepted","accepted","offered","\x065","worker:\x012",1,{"worker_id":"\x012","offer_id":"\x011"},""],',
  '["","task.started","started","accepted","\x065","worker:\x012",1,{"worker_id":"\x012"},""],',
  '["","task.submitted","submitted","started","\x065","worker:\x012",1,{"worker_id":"\x012"},""],',
  '["","task.verified","verified","submitted","\x066","system",1,{"mode":"auto"},""],',
  '["","task.completed","completed","verified","\x060","system",1,{"result":{"output":{"notes":"},"evidence":[],"notes":null,',
  '"worker_id":"\x012","submitted_at":"\x061"}},""]],"\x03",1]',
].join('');
export const SECOND_DICTIONARY = Buffer.from(SECOND_TEXT);

/** What is different since the id of the org is known and sealed texts are bytes; and most late tasks are late while they wait. */
const CHANGES = [
  ['"org_id":"\x02","created_at":"\x04"}', '"org_id":"\x010","created_at":"\x04"}'],
  ['"sealed":"s1."}', '"sealed":"\x08"}'],
  [
    '["","task.matched","matched","queued","\x066","system"',
    '["","task.sla_breached","queued","queued","\x061","system",1,{"clock":"target_latency","due_at":"\x062","breached_at":"\x061"},""],' +
      '["","task.matched","matched","queued","\x066","system"',
  ],
] as const;

/** For the text that is packed now. */
export const DICTIONARY = Buffer.from(
  CHANGES.reduce((text, [before, after]) => text.replace(before, after), SECOND_TEXT),
);
