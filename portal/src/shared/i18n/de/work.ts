// Messages of the portal, in German.

import type { work as english } from '../en/work.ts';

export const work: typeof english = {
  app: 'BioLayer Work',
  signIn: {
    title: 'Anmelden',
    fromLink: 'Sie haben einen Anmeldelink geöffnet. Er gilt einmal.',
    button: 'Bei BioLayer anmelden',
    withToken:
      'Melden Sie sich mit Ihrem Worker-Token an, oder öffnen Sie den Anmeldelink, den Ihr Team Ihnen geschickt hat.',
    token: 'Worker-Token',
    tokenHint: 'Beginnt mit blw_',
    invalidLink: 'Dieser Link wurde schon benutzt oder ist abgelaufen. Bitten Sie Ihr Team um einen neuen.',
    invalidToken: 'Dieses Token ist nicht gültig. Prüfen Sie, ob Sie es vollständig kopiert haben.',
    noToken: 'Geben Sie Ihr Worker-Token ein.',
  },
  nav: { desk: 'Meine Arbeit', history: 'Verlauf', settings: 'Einstellungen' },
};
