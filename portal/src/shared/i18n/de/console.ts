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
    invalidLink: 'Dieser Link wurde schon benutzt oder ist abgelaufen.',
  },
  nav: { overview: 'Übersicht' },
  signedInAs: (email, org) => `${email}, ${org}`,
};
