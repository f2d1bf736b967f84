// Keyboard shortcuts: single keys, as in mail programs. They do nothing while a person types, or while a dialog is open that
// does not define them (WCAG 2.2, 2.1.4). `?` shows those of the page.

import { type ReactNode, useEffect, useId, useRef, useSyncExternalStore } from 'react';
import { useShared } from '../i18n/messages.tsx';
import { Dialog } from './dialog.tsx';

export interface Shortcut {
  /** As `KeyboardEvent.key`; with `mod+` before it, with Ctrl or Command, which also works while a person types. */
  key: string;
  /** What it does, for the list. */
  label: string;
  run: () => void;
}

const registered = new Map<string, readonly Shortcut[]>();
const listeners = new Set<() => void>();
/** A new array for each change, which React compares. */
let all: readonly Shortcut[] = [];

function changed(): void {
  all = [...registered.values()].flat();
  for (const listener of listeners) listener();
}

/** Makes shortcuts work as long as the component is shown. */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  const id = useId();
  const current = useRef(shortcuts);
  current.current = shortcuts;
  const names = shortcuts.map(({ key, label }) => `${key} ${label}`).join('\n');
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of names is a change of the list.
  useEffect(() => {
    const stable = current.current.map((one, index) => ({
      ...one,
      run: () => current.current[index]?.run(),
    }));
    registered.set(id, stable);
    changed();
    return () => {
      registered.delete(id);
      changed();
    };
  }, [id, names]);
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  const isMod = event.ctrlKey || event.metaKey;
  if (!isMod && isTyping(event.target)) return;
  if (!isMod && document.querySelector('dialog[open]') !== null) return;
  const name = isMod ? `mod+${event.key}` : event.key;
  const found = all.findLast((one) => one.key === name);
  if (found === undefined) return;
  event.preventDefault();
  found.run();
});

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio', 'button'].includes(target.type);
  return target.isContentEditable || ['TEXTAREA', 'SELECT'].includes(target.tagName);
}

function useAll(): readonly Shortcut[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => all,
  );
}

/** The list of the shortcuts that work on this page. */
export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const messages = useShared();
  return (
    <Dialog title={messages.keyboardShortcuts} onClose={onClose}>
      <dl className="facts">
        {useAll().map(({ key, label }) => [
          <dt key={`${key} key`}>
            <Key name={key} />
          </dt>,
          <dd key={`${key} label`}>{label}</dd>,
        ])}
      </dl>
    </Dialog>
  );
}

/** A key as it is shown, such as `Ctrl Enter`. */
export function Key({ name }: { name: string }): ReactNode {
  const isMac = /mac|iphone|ipad/i.test(navigator.platform);
  return name.split('+').map((one) => (
    <kbd key={one} className="kbd">
      {one === 'mod' ? (isMac ? '⌘' : 'Ctrl') : one}
    </kbd>
  ));
}
