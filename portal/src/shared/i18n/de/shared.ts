// Messages that both apps use, in German.

import type { shared as english } from '../en/shared.ts';
import { plural } from '../format.ts';

export const shared: typeof english = {
  optional: 'freiwillig',
  close: 'Schließen',
  dismiss: 'Ausblenden',
  cancel: 'Abbrechen',
  save: 'Speichern',
  saved: 'Gespeichert.',
  remove: 'Entfernen',
  retry: 'Erneut versuchen',
  loading: 'Wird geladen …',
  more: 'Mehr anzeigen',
  yes: 'Ja',
  no: 'Nein',
  none: 'Keine',
  back: 'Zurück',
  skipToContent: 'Zum Inhalt springen',
  mainNavigation: 'Hauptnavigation',
  language: 'Sprache',
  theme: 'Darstellung',
  themes: { system: 'System', light: 'Hell', dark: 'Dunkel' },
  signIn: 'Anmelden',
  signOut: 'Abmelden',
  errorSummary: 'Es gibt ein Problem',
  errorCount: plural('de', { one: '# Problem', other: '# Probleme' }),
  keyboardShortcuts: 'Tastenkürzel',
  tableOf: (name) => `Tabelle: ${name}`,
  copy: 'Kopieren',
  copied: 'Kopiert.',
  copyByHand: 'Es ist markiert: Kopieren Sie es mit der Tastatur oder dem Menü.',
  shownOnce: 'Es wird nur jetzt angezeigt. Kopieren Sie es und bewahren Sie es sicher auf.',
  status: {
    created: 'Angelegt',
    queued: 'Wartend',
    matched: 'Zugeordnet',
    offered: 'Angeboten',
    accepted: 'Angenommen',
    started: 'In Arbeit',
    submitted: 'In Prüfung',
    verified: 'Geprüft',
    completed: 'Abgeschlossen',
    failed: 'Fehlgeschlagen',
    cancelled: 'Abgebrochen',
  },
  urgency: { low: 'Niedrig', normal: 'Normal', high: 'Hoch', critical: 'Kritisch' },
  availability: { available: 'Verfügbar', away: 'Abwesend', offline: 'Offline' },
  connection: {
    live: 'Live',
    connecting: 'Verbindung wird aufgebaut …',
    offline: 'Keine Verbindung. Ihre Eingaben bleiben erhalten; die Seite verbindet sich von selbst wieder.',
  },
  signedOut: {
    title: 'Sie wurden abgemeldet',
    text: 'Ihre Sitzung ist beendet. Ihre Eingaben bleiben erhalten. Melden Sie sich erneut an, um fortzufahren.',
  },
  markdown: { formatted: 'Formatiert', plain: 'Nur Text', view: 'Darstellung des Textes' },
  problems: {
    offline: 'Der Server ist nicht erreichbar. Prüfen Sie Ihre Verbindung und versuchen Sie es erneut.',
    rateLimited: 'Zu viele Anfragen auf einmal. Warten Sie kurz und versuchen Sie es erneut.',
    unavailable: 'Der Server ist gerade nicht verfügbar. Versuchen Sie es gleich noch einmal.',
    forbidden: 'Dazu fehlt Ihnen die Berechtigung. Wenden Sie sich an die Leitung Ihres Teams.',
    notFound: 'Das gibt es nicht mehr, oder es gehört jemand anderem.',
    stale:
      'Das wurde inzwischen geändert. Sehen Sie sich den aktuellen Stand an und versuchen Sie es erneut.',
    tooLarge: 'Das ist zu groß.',
    unknown: (detail) => `Etwas ist schiefgegangen: ${detail}`,
    crashed: 'Diese Seite hat einen Fehler. Laden Sie sie neu; Gespeichertes bleibt erhalten.',
    reload: 'Seite neu laden',
    pageNotFound: 'Diese Seite gibt es nicht',
    codes: {
      channel_not_usable:
        'Dieser Kanal ist aus, oder seine Adresse ist noch nicht bestätigt. Schalten Sie ihn ein, oder geben Sie erst den Code ein.',
      pool_forbidden:
        'Das gehört zu einem Pool, den Ihr Konto nicht umfasst. Bitten Sie eine Inhaberin oder einen Inhaber Ihrer Organisation, den Pool Ihrem Konto hinzuzufügen.',
      ip_not_allowed:
        'Ihre Organisation lässt diese Netzadresse nicht zu. Verwenden Sie ein zugelassenes Netz, oder lassen Sie Ihre Adresse in die Liste aufnehmen.',
      org_suspended:
        'Ihre Organisation ist gesperrt. Bitten Sie den Betreiber dieses Servers, sie freizugeben.',
      quota_exceeded:
        'Ihre Organisation hat schon die Höchstzahl davon. Entfernen Sie etwas Unbenutztes, oder bitten Sie den Betreiber um eine höhere Grenze.',
      already_exists: 'Das gibt es unter diesem Namen schon. Wählen Sie einen anderen.',
      removal_in_progress:
        'Etwas mit dieser ID wird noch entfernt. Versuchen Sie es gleich noch einmal, oder wählen Sie eine andere ID.',
      endpoint_unavailable:
        'Der Endpunkt ist ausgeschaltet oder wurde entfernt. Schalten Sie ihn zuerst ein.',
      delivery_in_progress: 'Gerade läuft ein Versuch. Sehen Sie gleich nach, wie er ausgegangen ist.',
      replay_in_progress:
        'Es läuft schon ein anderer Durchgang. Warten Sie, bis er endet, oder brechen Sie ihn ab.',
      invalid_transition:
        'Der Zustand hat sich inzwischen geändert, deshalb geht das nicht mehr. Sehen Sie sich den aktuellen Stand an.',
      would_lock_out:
        'Die Liste enthält Ihre eigene Adresse nicht, Sie würden sich also aussperren. Fügen Sie sie hinzu.',
    },
    reference: (requestId) => `Referenz für den Support: ${requestId}`,
  },
};
