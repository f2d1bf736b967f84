// Language and appearance, which each person chooses for this browser.

import { useState } from 'react';
import { LANGUAGES, type Language } from '../i18n/languages.ts';
import { useLanguage, useShared } from '../i18n/messages.tsx';
import { SelectField } from './field.tsx';

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

const STORED = 'biolayer-theme';

function storedTheme(): Theme {
  const stored = localStorage.getItem(STORED);
  return THEMES.find((one) => one === stored) ?? 'system';
}

/** Shows the page in the stored appearance; called before it is drawn. */
export function applyTheme(theme: Theme = storedTheme()): void {
  if (theme === 'system') document.documentElement.removeAttribute('data-theme');
  else document.documentElement.setAttribute('data-theme', theme);
}

export function LanguageChoice() {
  const messages = useShared();
  const { language, choose } = useLanguage();
  return (
    <SelectField
      label={messages.language}
      value={language}
      onChange={(event) => choose(event.target.value as Language)}
    >
      {Object.entries(LANGUAGES).map(([tag, name]) => (
        <option key={tag} value={tag} lang={tag}>
          {name}
        </option>
      ))}
    </SelectField>
  );
}

export function ThemeChoice() {
  const messages = useShared();
  const [theme, setTheme] = useState(storedTheme);
  return (
    <SelectField
      label={messages.theme}
      value={theme}
      onChange={(event) => {
        const next = THEMES.find((one) => one === event.target.value) ?? 'system';
        localStorage.setItem(STORED, next);
        applyTheme(next);
        setTheme(next);
      }}
    >
      {THEMES.map((one) => (
        <option key={one} value={one}>
          {messages.themes[one]}
        </option>
      ))}
    </SelectField>
  );
}
