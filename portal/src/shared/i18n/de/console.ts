// Messages of the console's frame, in German.

import type { consoleApp as english } from '../en/console.ts';

export const consoleApp: typeof english = {
  app: 'BioLayer',
  signIn: {
    title: 'An der Konsole anmelden',
    fromLink: 'Sie haben einen Anmeldelink geöffnet. Er gilt einmal.',
    button: 'Anmelden',
    withPassword: 'Melden Sie sich mit E-Mail-Adresse und Passwort an.',
    toPassword: 'Weiter zur Anmeldung',
    invalidLink:
      'Dieser Link wurde schon benutzt oder ist abgelaufen. Melden Sie sich mit E-Mail-Adresse und Passwort an, oder bitten Sie um einen neuen Link.',
  },
  nav: {
    overview: 'Übersicht',
    tasks: 'Aufgaben',
    review: 'Prüfung',
    workers: 'Bearbeiter',
    pools: 'Pools',
    webhooks: 'Webhooks',
    types: 'Aufgabentypen',
    keys: 'API-Schlüssel',
    members: 'Mitglieder',
    audit: 'Audit-Log',
    settings: 'Einstellungen',
    queues: 'Queues',
  },
  account: {
    open: 'Konto:',
    role: 'Rolle',
    roles: { owner: 'Inhaber', manager: 'Leitung', reviewer: 'Prüfung', viewer: 'Nur lesen' },
    ownScopes: 'Eigene Berechtigungen',
    pools: 'Pools',
    sessionEnds: 'Sitzung endet',
  },
  noPermission: {
    title: 'Diese Seite dürfen Sie nicht öffnen',
    text: (scope) =>
      `Sie erfordert die Berechtigung ${scope}, die Ihre Rolle nicht hat. Bitten Sie einen Inhaber Ihrer Organisation darum.`,
    toOverview: 'Zur Übersicht',
  },
  notFound: 'Wählen Sie eine Seite aus der Navigation.',
};
