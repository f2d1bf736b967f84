// Messages of the console's review page, in German.

import type { consoleReview as english } from '../en/console-review.ts';
import { plural } from '../format.ts';

export const consoleReview: typeof english = {
  waiting: plural('de', { one: '# wartet auf eine Entscheidung', other: '# warten auf eine Entscheidung' }),
  atLeast: (count) => `Mehr als ${count} warten auf eine Entscheidung`,
  since: (time) => `Eingereicht ${time}`,
  empty: {
    title: 'Nichts wartet auf eine Prüfung',
    text: 'Sobald jemand eine Aufgabe einreicht, die eine Person prüfen soll, erscheint sie hier.',
  },
  gone: {
    title: 'Diese Aufgabe wartet nicht mehr auf eine Entscheidung',
    text: 'Jemand hat entschieden, oder die Aufgabe hat sich geändert.',
    next: 'Zur nächsten',
  },
  asked: 'Was verlangt war',
  handedIn: 'Was eingereicht wurde',
  openTask: 'Aufgabe öffnen',
  next: 'Nächste',
  previous: 'Vorige',
  queue: 'Aufgaben, die auf eine Entscheidung warten',
  decision: {
    title: 'Entscheidung',
    legend: 'Ihre Entscheidung',
    options: {
      approve: 'Annehmen',
      rework: 'Zurückgeben',
      reassign: 'Neu vergeben',
      reject: 'Ablehnen',
    },
    hints: {
      approve: 'Die Aufgabe wird mit dieser Ausgabe abgeschlossen.',
      rework: 'Dieselbe Person macht es noch einmal und liest Ihre Rückmeldung.',
      reassign: 'Jemand anderes bekommt die Aufgabe.',
      reject: 'Die Aufgabe schlägt fehl; der Bearbeiter liest Ihre Rückmeldung und kann ihr widersprechen.',
    },
    send: {
      approve: 'Annehmen und weiter',
      rework: 'Zurückgeben und weiter',
      reassign: 'Neu vergeben und weiter',
      reject: 'Ablehnen und weiter',
    },
    choose: 'Entscheiden',
    rating: 'Bewertung',
    noRating: 'Keine',
    ratingHint: 'Zählt zur Bewertung des Bearbeiters.',
    feedback: 'Rückmeldung an den Bearbeiter',
    feedbackHint: 'Der Bearbeiter liest sie.',
    answer: 'Welche Antwort das Ergebnis ist',
    answerDefault: 'Die, der die meisten zustimmen',
    noDecision: 'Wählen Sie eine Entscheidung.',
    noFeedback: 'Geben Sie eine Rückmeldung: Der Bearbeiter muss erfahren, warum.',
    done: {
      approve: 'Angenommen.',
      rework: 'An den Bearbeiter zurückgegeben.',
      reassign: 'Neu vergeben.',
      reject: 'Abgelehnt.',
    },
    stale:
      'Das hat sich geändert, seit Sie es geöffnet haben: Es wurde neu eingereicht, oder jemand anderes hat entschieden. Sie sehen jetzt den aktuellen Stand. Ihre Eingaben bleiben erhalten.',
  },
  keys: {
    next: 'Nächste Aufgabe',
    previous: 'Vorige Aufgabe',
    feedback: 'Rückmeldung schreiben',
    send: 'Entscheidung senden',
    rating: (stars) => `Bewertung ${stars}`,
  },
};
