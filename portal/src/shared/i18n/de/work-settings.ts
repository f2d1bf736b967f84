// Messages of the worker's settings, in German.

import type { workSettings as english } from '../en/work-settings.ts';

export const workSettings: typeof english = {
  title: 'Einstellungen',
  page: 'Diese Seite',
  account: 'Konto',
  name: 'Name',
  pools: 'Pools',
  channels: {
    title: 'Benachrichtigungen',
    about:
      'Ein Angebot gilt etwa eine Minute. Wählen Sie, wie Sie davon erfahren, wenn Sie nicht auf diese Seite schauen. Eine Benachrichtigung geht an den ersten Kanal dieser Liste, der sie annimmt.',
    none: 'Sie bekommen noch keine Benachrichtigungen.',
    list: 'Kanäle in der Reihenfolge, in der sie versucht werden',
    full: (most) =>
      `Sie haben ${most} Kanäle, mehr sind nicht möglich. Entfernen Sie einen, um einen anderen hinzuzufügen.`,
    thisBrowser: 'Dieser Browser',
    states: {
      on: 'An',
      off: 'Aus',
      gone: 'Nicht mehr erreichbar',
      unconfirmed: 'Nicht bestätigt',
    },
    quiet: (start, end, zone) => `Ruhezeit von ${start} bis ${end} (${zone})`,
    quietExceptCritical: 'außer bei kritischen Aufgaben',
    actions: (name) => `Aktionen für ${name}`,
    test: 'Test senden',
    tested: 'Ein Test ist unterwegs. Das Ergebnis steht in der Liste unten.',
    turnOn: 'Einschalten',
    turnOff: 'Ausschalten',
    edit: 'Bearbeiten',
    up: (name) => `${name} früher versuchen`,
    down: (name) => `${name} später versuchen`,
    removeTitle: 'Diesen Kanal entfernen',
    removeText: (name) => `An ${name} wird nichts mehr gesendet.`,
  },
  add: {
    browser: 'In diesem Browser benachrichtigen',
    browserOn: 'Dieser Browser zeigt jetzt Benachrichtigungen, auch wenn diese Seite geschlossen ist.',
    unsupported:
      'Dieser Browser kann keine Benachrichtigungen zeigen. Auf einem iPhone oder iPad legen Sie diese Seite erst auf den Home-Bildschirm und öffnen sie von dort.',
    denied:
      'Dieser Browser erlaubt dieser Seite keine Benachrichtigungen. Erlauben Sie sie in den Einstellungen der Website, und versuchen Sie es noch einmal.',
    noPush:
      'Dieser Browser hat seinen Push-Dienst nicht erreicht. Versuchen Sie es später noch einmal, oder nehmen Sie einen anderen Kanal.',
    email: 'E-Mail-Adresse hinzufügen',
    slack: 'Slack-Webhook hinzufügen',
    address: 'E-Mail-Adresse',
    addressHint: 'Sie bekommt einen Code, den Sie hier eingeben.',
    url: 'URL des eingehenden Webhooks',
    urlHint: 'Sie beginnt mit https:// und bleibt geheim.',
    noMail: 'Dieser Server sendet keine E-Mails. Wählen Sie einen anderen Kanal.',
    faults: {
      address: 'Geben Sie eine E-Mail-Adresse ein, etwa ada@example.com.',
      url: 'Geben Sie eine URL ein, die mit https:// beginnt.',
    },
    added: 'Der Kanal ist hinzugefügt.',
  },
  code: {
    label: (address) => `Code, der an ${address} gesendet wurde`,
    hint: 'Sechs Ziffern, eine Stunde gültig.',
    confirm: 'Bestätigen',
    confirmed: 'Die Adresse ist bestätigt.',
    again: 'Neuen Code senden',
    sent: 'Ein neuer Code ist unterwegs.',
    fault: 'Geben Sie die sechs Ziffern aus der Nachricht ein.',
    wrong: 'Der Code ist falsch oder nicht mehr gültig. Prüfen Sie ihn, oder senden Sie einen neuen.',
  },
  edit: {
    title: (name) => `${name} bearbeiten`,
    name: 'Name',
    nameHint: 'Wie Sie ihn nennen, etwa nach dem Gerät.',
    language: 'Sprache der Benachrichtigungen',
    quiet: 'Ruhezeit',
    quietHint: 'In dieser Zeit des Tages wird hier nichts gesendet. Ihre Verfügbarkeit ändert das nicht.',
    hasQuiet: 'Zu bestimmten Zeiten keine Benachrichtigungen',
    start: 'Von',
    end: 'Bis',
    zone: 'Zeitzone',
    allowCritical: 'Benachrichtigungen über kritische Aufgaben trotzdem senden',
    faults: {
      times: 'Geben Sie an, wann die Ruhezeit beginnt und zu welcher anderen Zeit sie endet.',
      zone: 'Wählen Sie eine Zeitzone.',
    },
  },
  notices: {
    title: 'Letzte Benachrichtigungen',
    none: 'Ihnen wurde noch nichts gesendet.',
  },
};
