// Messages about notices, which the worker and their team see.

export const notices = {
  kinds: {
    offer: 'Offer',
    assigned: 'Assigned task',
    rework: 'Sent back',
    message: 'Message',
    due_soon: 'Due soon',
    confirmation: 'Code for a channel',
    test: 'Test',
  },
  statuses: { pending: 'Pending', sent: 'Sent', failed: 'Failed', not_sent: 'Not sent' },
  reasons: {
    no_longer_relevant: 'The matter was over before it was sent.',
    quiet_hours: 'Quiet hours.',
    no_channel: 'No channel could be used.',
  },
  channels: { web_push: 'Web Push', email: 'E-mail', slack: 'Slack' },
  outcomes: { sending: 'under way', sent: 'sent', failed: 'failed' },
};
