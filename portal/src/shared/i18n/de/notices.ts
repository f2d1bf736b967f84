// Messages about notices, in German.

import type { notices as english } from '../en/notices.ts';

export const notices: typeof english = {
  kinds: {
    offer: 'Angebot',
    assigned: 'Zugewiesene Aufgabe',
    rework: 'Zur Nacharbeit',
    message: 'Nachricht',
    due_soon: 'Bald fällig',
    confirmation: 'Code für einen Kanal',
    test: 'Test',
  },
  statuses: {
    pending: 'Ausstehend',
    sent: 'Gesendet',
    failed: 'Gescheitert',
    not_sent: 'Nicht gesendet',
  },
  reasons: {
    no_longer_relevant: 'Es hatte sich erledigt, bevor gesendet wurde.',
    quiet_hours: 'Ruhezeit.',
    no_channel: 'Kein Kanal war nutzbar.',
  },
  channels: { web_push: 'Web Push', email: 'E-Mail', slack: 'Slack' },
  outcomes: { sending: 'läuft', sent: 'gesendet', failed: 'gescheitert' },
};
