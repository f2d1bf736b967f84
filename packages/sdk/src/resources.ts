// Which method of the client calls which operation of the API. A test compares the table with the OpenAPI document, so that
// every operation has its method. After the operation stand the names of its path parameters, in the order of the arguments.

import type { OperationId } from './generated/client.ts';

type Operation = readonly [OperationId, ...string[]];

export const RESOURCES = {
  /** Tasks: create, follow, supervise, review. */
  tasks: {
    /** Create a task. */
    create: ['createTask'],
    /** Create up to 500 tasks. */
    createBatch: ['createTaskBatch'],
    /** Retrieve a task. */
    get: ['getTask', 'task_id'],
    /** List tasks. */
    list: ['listTasks'],
    /** Update a task. */
    update: ['updateTask', 'task_id'],
    /** Cancel a task. */
    cancel: ['cancelTask', 'task_id'],
    /** Review a submission. */
    review: ['reviewTask', 'task_id'],
    /** Decide on a dispute. */
    resolveDispute: ['resolveDispute', 'task_id'],
    /** Give a task to a named worker. */
    assign: ['assignTask', 'task_id'],
    /** Queue a task again. */
    requeue: ['requeueTask', 'task_id'],
    /** Explain which workers could do a task. */
    previewMatch: ['previewMatch'],
    /** Explain why a task is not matched. */
    explainMatch: ['explainTaskMatch', 'task_id'],
    /** List the history of a task. */
    listEvents: ['listTaskEvents', 'task_id'],
    /** List the deliveries of the events of a task. */
    listDeliveries: ['listTaskDeliveries', 'task_id'],
    /** List the messages of a task. */
    listMessages: ['listMessages', 'task_id'],
    /** Write to the worker of a task. */
    sendMessage: ['sendMessage', 'task_id'],
    /** Mark messages as read. */
    markMessagesRead: ['markMessagesRead', 'task_id'],
    /** List the files of a task. */
    listEvidence: ['listEvidence', 'task_id'],
    /** Download a file of a task. */
    downloadEvidence: ['downloadEvidence', 'task_id', 'evidence_id'],
  },
  /** One change of many tasks, in the background. */
  bulkActions: {
    /** Start a bulk action, or count what it would change. */
    create: ['createBulkAction'],
    /** List bulk actions. */
    list: ['listBulkActions'],
    /** Retrieve a bulk action. */
    get: ['getBulkAction', 'bulk_action_id'],
    /** Cancel a bulk action. */
    cancel: ['cancelBulkAction', 'bulk_action_id'],
  },
  /** Task types: versioned defaults of tasks. */
  taskTypes: {
    /** List task types. */
    list: ['listTaskTypes'],
    /** Retrieve a task type. */
    get: ['getTaskType', 'name'],
    /** Register or update a task type. */
    save: ['saveTaskType', 'name'],
    /** Retire a task type. */
    retire: ['retireTaskType', 'name'],
    /** List the versions of a task type. */
    listVersions: ['listTaskTypeVersions', 'name'],
    /** Retrieve a version of a task type. */
    getVersion: ['getTaskTypeVersion', 'name', 'version'],
  },
  /** Pools of workers. */
  pools: {
    /** Create a pool. */
    create: ['createPool'],
    /** List pools. */
    list: ['listPools'],
    /** Retrieve a pool. */
    get: ['getPool', 'pool_id'],
    /** Update a pool. */
    update: ['updatePool', 'pool_id'],
    /** Remove a pool. */
    delete: ['deletePool', 'pool_id'],
  },
  /** The workers of the org. */
  workers: {
    /** Create a worker. */
    create: ['createWorker'],
    /** List workers. */
    list: ['listWorkers'],
    /** Retrieve a worker. */
    get: ['getWorker', 'worker_id'],
    /** Update a worker. */
    update: ['updateWorker', 'worker_id'],
    /** Remove a worker. */
    delete: ['deleteWorker', 'worker_id'],
    /** Drain a worker. */
    drain: ['drainWorker', 'worker_id'],
    /** Create a token for a worker. */
    createToken: ['createWorkerToken', 'worker_id'],
    /** Revoke all tokens of a worker. */
    revokeTokens: ['revokeWorkerTokens', 'worker_id'],
    /** Create a sign-in link for a worker. */
    createSignInLink: ['createSignInLink', 'worker_id'],
    /** List the sessions of a worker. */
    listSessions: ['listWorkerSessions', 'worker_id'],
    /** Sign a worker out everywhere. */
    endSessions: ['endWorkerSessions', 'worker_id'],
    /** List the notices that a worker was sent. */
    listNotifications: ['listWorkerNotifications', 'worker_id'],
  },
  /** What a worker does, with a worker token. */
  worker: {
    /** Retrieve the calling worker. */
    get: ['getOwnWorker'],
    /** Set my availability. */
    update: ['updateOwnWorker'],
    /** Finish my tasks, then go offline. */
    drain: ['drainOwnWorker'],
    /** List my pending offers. */
    listOffers: ['listOffers'],
    /** Accept an offer. */
    acceptOffer: ['acceptOffer', 'offer_id'],
    /** Decline an offer. */
    declineOffer: ['declineOffer', 'offer_id'],
    /** List the tasks assigned to me. */
    listTasks: ['listAssignedTasks'],
    /** Retrieve one of my tasks. */
    getTask: ['getAssignedTask', 'task_id'],
    /** Start work on a task. */
    startTask: ['startTask', 'task_id'],
    /** Give a task back to the queue. */
    releaseTask: ['releaseTask', 'task_id'],
    /** Submit the result of a task. */
    submitTask: ['submitTask', 'task_id'],
    /** Report a task. */
    reportTask: ['reportTask', 'task_id'],
    /** Dispute the rejection of a task. */
    disputeRejection: ['disputeRejection', 'task_id'],
    /** Retrieve my draft of a task. */
    getDraft: ['getDraft', 'task_id'],
    /** Save my draft of a task. */
    saveDraft: ['saveDraft', 'task_id'],
    /** Delete my draft of a task. */
    deleteDraft: ['deleteDraft', 'task_id'],
    /** List the messages of one of my tasks. */
    listMessages: ['listAssignedTaskMessages', 'task_id'],
    /** Write to the requester of one of my tasks. */
    sendMessage: ['sendAssignedTaskMessage', 'task_id'],
    /** Mark messages of one of my tasks as read. */
    markMessagesRead: ['markAssignedTaskMessagesRead', 'task_id'],
    /** List the files that I have uploaded. */
    listEvidence: ['listUploadedEvidence', 'task_id'],
    /** Upload a file for one of my tasks. */
    uploadEvidence: ['uploadEvidence', 'task_id'],
    /** Download a file that I have uploaded. */
    downloadEvidence: ['downloadUploadedEvidence', 'task_id', 'evidence_id'],
    /** Remove a file that I have uploaded. */
    deleteEvidence: ['deleteUploadedEvidence', 'task_id', 'evidence_id'],
    /** List what I have done. */
    listHistory: ['listWorkedTasks'],
    /** List the notices that I was sent. */
    listNotifications: ['listOwnNotifications'],
  },
  /** The notification channels of a worker, with a worker token. */
  notificationChannels: {
    /** List my notification channels. */
    list: ['listNotificationChannels'],
    /** Add a notification channel. */
    create: ['createNotificationChannel'],
    /** Retrieve a notification channel. */
    get: ['getNotificationChannel', 'channel_id'],
    /** Update a notification channel. */
    update: ['updateNotificationChannel', 'channel_id'],
    /** Remove a notification channel. */
    delete: ['deleteNotificationChannel', 'channel_id'],
    /** Confirm the address of a channel. */
    confirm: ['confirmNotificationChannel', 'channel_id'],
    /** Send another code to the address of a channel. */
    sendCode: ['sendNotificationChannelCode', 'channel_id'],
    /** Send a test notice through a channel. */
    test: ['testNotificationChannel', 'channel_id'],
    /** Retrieve the public key for Web Push. */
    getWebPushKey: ['getWebPushKey'],
  },
  /** Events of the org. */
  events: {
    /** List the events of the org. */
    list: ['listEvents'],
  },
  /** Webhook endpoints, their deliveries and replays. */
  webhookEndpoints: {
    /** Create a webhook endpoint. */
    create: ['createWebhookEndpoint'],
    /** List webhook endpoints. */
    list: ['listWebhookEndpoints'],
    /** Retrieve a webhook endpoint. */
    get: ['getWebhookEndpoint', 'endpoint_id'],
    /** Update a webhook endpoint. */
    update: ['updateWebhookEndpoint', 'endpoint_id'],
    /** Remove a webhook endpoint. */
    delete: ['deleteWebhookEndpoint', 'endpoint_id'],
    /** Enable a webhook endpoint. */
    enable: ['enableWebhookEndpoint', 'endpoint_id'],
    /** Disable a webhook endpoint. */
    disable: ['disableWebhookEndpoint', 'endpoint_id'],
    /** Replace the secret of a webhook endpoint. */
    rotateSecret: ['rotateWebhookEndpointSecret', 'endpoint_id'],
    /** Send a test event to a webhook endpoint. */
    test: ['testWebhookEndpoint', 'endpoint_id'],
    /** List the deliveries to an endpoint. */
    listDeliveries: ['listWebhookEndpointDeliveries', 'endpoint_id'],
    /** Send past events to an endpoint again. */
    startReplay: ['startReplay', 'endpoint_id'],
    /** List the replays to an endpoint. */
    listReplays: ['listReplays', 'endpoint_id'],
    /** Retrieve a replay. */
    getReplay: ['getReplay', 'endpoint_id', 'replay_id'],
    /** Cancel a replay. */
    cancelReplay: ['cancelReplay', 'endpoint_id', 'replay_id'],
  },
  /** Webhook deliveries that failed or are pending. */
  deliveries: {
    /** List the deliveries that were given up. */
    listDeadLetters: ['listDeadLetters'],
    /** Send a delivery again. */
    redeliver: ['redeliverDelivery', 'delivery_id'],
    /** Send many dead letters again. */
    redeliverDeadLetters: ['redeliverDeadLetters'],
    /** List the redeliveries of dead letters. */
    listRedeliveries: ['listRedeliveries'],
    /** Retrieve a redelivery of dead letters. */
    getRedelivery: ['getRedelivery', 'redelivery_id'],
    /** Cancel a redelivery of dead letters. */
    cancelRedelivery: ['cancelRedelivery', 'redelivery_id'],
    /** Stop pending deliveries. */
    stop: ['stopDeliveries'],
    /** List the runs that stop deliveries. */
    listStops: ['listDeliveryStops'],
    /** Retrieve a run that stops deliveries. */
    getStop: ['getDeliveryStop', 'stop_id'],
    /** Cancel a run that stops deliveries. */
    cancelStop: ['cancelDeliveryStop', 'stop_id'],
  },
  /** The secret of callback URLs. */
  webhookSecret: {
    /** Retrieve the callback signing secret. */
    get: ['getWebhookSecret'],
    /** Replace the callback signing secret. */
    rotate: ['rotateWebhookSecret'],
  },
  /** API keys. */
  apiKeys: {
    /** Create an API key. */
    create: ['createApiKey'],
    /** List API keys. */
    list: ['listApiKeys'],
    /** Rotate an API key. */
    rotate: ['rotateApiKey', 'key_id'],
    /** Revoke an API key. */
    revoke: ['revokeApiKey', 'key_id'],
  },
  /** OAuth clients. */
  oauthClients: {
    /** Create an OAuth client. */
    create: ['createOAuthClient'],
    /** List OAuth clients. */
    list: ['listOAuthClients'],
    /** Retrieve an OAuth client. */
    get: ['getOAuthClient', 'client_id'],
    /** Update an OAuth client. */
    update: ['updateOAuthClient', 'client_id'],
    /** Remove an OAuth client. */
    delete: ['deleteOAuthClient', 'client_id'],
    /** Replace the secret of an OAuth client. */
    rotateSecret: ['rotateOAuthClientSecret', 'client_id'],
  },
  /** Trusted token issuers. */
  issuers: {
    /** Register an issuer of access tokens. */
    create: ['createIssuer'],
    /** List issuers of access tokens. */
    list: ['listIssuers'],
    /** Retrieve an issuer of access tokens. */
    get: ['getIssuer', 'issuer_id'],
    /** Remove an issuer of access tokens. */
    delete: ['deleteIssuer', 'issuer_id'],
  },
  /** Members of the org. */
  members: {
    /** Create a member. */
    create: ['createMember'],
    /** List members. */
    list: ['listMembers'],
    /** Retrieve a member. */
    get: ['getMember', 'member_id'],
    /** Update a member. */
    update: ['updateMember', 'member_id'],
    /** Remove a member. */
    delete: ['deleteMember', 'member_id'],
    /** List the sessions of a member. */
    listSessions: ['listMemberSessions', 'member_id'],
    /** Sign a member out everywhere. */
    endSessions: ['endMemberSessions', 'member_id'],
  },
  /** The session of a browser: for the pages of the server only. */
  session: {
    /** Sign a worker in. */
    signInWorker: ['signInWorker'],
    /** Retrieve the session of a worker. */
    getWorker: ['getWorkerSession'],
    /** Sign the worker out of this browser. */
    signOutWorker: ['signOutWorker'],
    /** Sign a member in with a link. */
    signInMember: ['signInMember'],
    /** Retrieve the session of a member. */
    getMember: ['getConsoleSession'],
    /** Sign the member out of this browser. */
    signOutMember: ['signOutMember'],
  },
  /** The own org. */
  org: {
    /** Retrieve the org of the credential. */
    get: ['getOwnOrg'],
    /** Update the org of the credential. */
    update: ['updateOwnOrg'],
  },
  /** Statistics. */
  stats: {
    /** Count tasks and measure their times. */
    get: ['getStats'],
    /** Count the open tasks. */
    openTasks: ['countOpenTasks'],
    /** Count the attempts of deliveries. */
    deliveries: ['getDeliveryStats'],
  },
  /** The audit log. */
  audit: {
    /** List the audit log of the org. */
    list: ['listAuditEntries'],
    /** Export the audit log and histories. */
    export: ['exportAudit'],
    /** List the public keys of exports. */
    listKeys: ['listAuditKeys'],
  },
  /** What the operator of the server does, with the operator token. */
  admin: {
    /** Create an org. */
    createOrg: ['createOrg'],
    /** List orgs with their status and usage. */
    listOrgs: ['listOrgs'],
    /** Retrieve an org. */
    getOrg: ['getOrg', 'org_id'],
    /** Update an org. */
    updateOrg: ['updateOrg', 'org_id'],
    /** Create an API key for an org that has lost its own. */
    createOrgApiKey: ['createOrgApiKey', 'org_id'],
    /** Suspend an org: its credentials are refused and its tasks are not matched. */
    suspendOrg: ['suspendOrg', 'org_id'],
    /** End the suspension of an org. */
    resumeOrg: ['resumeOrg', 'org_id'],
    /** Reseal secrets with the current key. */
    resealSecrets: ['resealSecrets'],
    /** Retrieve the clock. */
    getClock: ['getClock'],
    /** Diagnose the deployment. */
    diagnose: ['getDiagnosis'],
    /** Confirm the clock after a jump. */
    confirmClock: ['confirmClock'],
    /** List dead entries. */
    listDeadEntries: ['listDeadEntries'],
    /** Replay all dead entries. */
    replayDeadEntries: ['replayDeadEntries'],
    /** Replay a dead entry. */
    replayDeadEntry: ['replayDeadEntry', 'entry_id'],
    /** Discard a dead entry. */
    discardDeadEntry: ['discardDeadEntry', 'entry_id'],
  },
} as const satisfies Record<string, Record<string, Operation>>;

/** Operations that answer with a stream of events; `events.ts` follows them. */
export const STREAMS = ['streamEvents', 'streamWorkerFeed'] as const satisfies readonly OperationId[];
