// Messages of the console's overview, in German.

import type { consoleOverview as english } from '../en/console-overview.ts';

export const consoleOverview: typeof english = {
  now: 'Jetzt',
  tiles: {
    waiting: 'Wartend',
    atWork: 'In Arbeit',
    inReview: 'In Prüfung',
    overdue: 'Überfällig',
    questions: 'Offene Fragen',
    givenUp: 'Aufgegebene Zustellungen',
  },
  byUrgency: 'Offene Aufgaben nach Dringlichkeit',
  byDomain: 'Offene Aufgaben nach Fachgebiet',
  noOpen: 'Keine offenen Aufgaben.',
  atLeast: (count) => `${count}+`,
  range: 'Zeitraum',
  ranges: { day: '24 Stunden', week: '7 Tage', month: '30 Tage' },
  history: 'Im Zeitverlauf',
  plots: {
    throughput: 'Durchsatz',
    waiting: 'Wartezeit',
    handling: 'Bearbeitungszeit',
    sla: 'SLA',
    deliveries: 'Zustellungen',
  },
  series: {
    created: 'Angelegt',
    completed: 'Abgeschlossen',
    failed: 'Fehlgeschlagen',
    cancelled: 'Abgebrochen',
    half: 'Die Hälfte binnen',
    most: '90 % binnen',
    deadline: 'Überschrittene Fristen',
    latency: 'Überschrittene Zielzeiten',
    delivered: 'Gelungen',
    retried: 'Gescheitert, wiederholt',
    exhausted: 'Aufgegeben',
  },
  hints: {
    waiting: 'Vom Anlegen einer Aufgabe, bis jemand sie annimmt.',
    handling: 'Vom Beginn der Arbeit bis zur Einreichung.',
    sla: (share) => `${share} der beendeten Aufgaben blieben ohne Überschreitung.`,
    deliveries: (share) => `${share} der beendeten Zustellungen sind gelungen.`,
    deliveriesNone: 'In diesem Zeitraum endete keine Zustellung.',
    slaNone: 'In diesem Zeitraum wurde keine Aufgabe beendet.',
  },
  noData: 'In diesem Zeitraum ist nichts geschehen.',
  table: 'Zahlen',
  time: 'Zeit',
};
