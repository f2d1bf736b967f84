// The messages of the page in its language. A catalogue has one part for each area of an app; each area reads its own part,
// with its types, through a hook made by `areaHook`. Catalogues are loaded when they are needed.

import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import type { shared } from './en/shared.ts';
import { type Format, formatOf } from './format.ts';
import { applyLanguage, type Language, preferredLanguage, storeLanguage } from './languages.ts';

export type SharedMessages = typeof shared;

/** The messages of an app by area; `shared` is in all of them. */
export interface Catalogue {
  shared: SharedMessages;
}

interface Current {
  language: Language;
  catalogue: Catalogue;
  format: Format;
  choose: (language: Language) => void;
}

const Context = createContext<Current | null>(null);

function useCurrent(): Current {
  const current = useContext(Context);
  if (current === null) throw new Error('MessagesProvider is missing');
  return current;
}

/** @param load the catalogue of each language. */
export function MessagesProvider({
  load,
  children,
}: {
  load: Readonly<Record<Language, () => Promise<Catalogue>>>;
  children: ReactNode;
}) {
  const [wanted, setWanted] = useState(preferredLanguage);
  const [loaded, setLoaded] = useState<{ language: Language; catalogue: Catalogue } | null>(null);
  useEffect(() => {
    let isCurrent = true;
    load[wanted]().then(
      (catalogue) => isCurrent && setLoaded({ language: wanted, catalogue }),
      // After a new release the file is gone; the new page names the new one.
      () => isCurrent && reloadOnce(),
    );
    return () => {
      isCurrent = false;
    };
  }, [load, wanted]);
  const choose = useCallback((language: Language) => {
    storeLanguage(language);
    setWanted(language);
  }, []);
  const current = useMemo(() => {
    if (loaded === null) return null;
    applyLanguage(loaded.language);
    return { ...loaded, format: formatOf(loaded.language), choose };
  }, [loaded, choose]);
  if (current === null) return null;
  return <Context value={current}>{children}</Context>;
}

/** Reloads the page, but not again and again. */
function reloadOnce(): void {
  const mark = 'biolayer-reloaded';
  if (sessionStorage.getItem(mark) !== null) return;
  sessionStorage.setItem(mark, '1');
  location.reload();
}

/** A hook that returns the messages of one area. The catalogues given to `MessagesProvider` must have it. */
export function areaHook<App extends Catalogue>() {
  return <Area extends keyof App & string>(area: Area) =>
    (): App[Area] =>
      (useCurrent().catalogue as App)[area];
}

/** The messages that both apps use. */
export function useShared(): SharedMessages {
  return useCurrent().catalogue.shared;
}

/** Writes dates and numbers in the language of the page. */
export function useFormat(): Format {
  return useCurrent().format;
}

export function useLanguage(): Pick<Current, 'language' | 'choose'> {
  const { language, choose } = useCurrent();
  return { language, choose };
}
