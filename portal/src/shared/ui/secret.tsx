// A secret that is shown once, with a button that copies it.

import { useId, useRef } from 'react';
import { useShared } from '../i18n/messages.tsx';
import { Button } from './button.tsx';
import { useToast } from './toast.tsx';
import './secret.css';

export function Secret({ label, value, hint }: { label: string; value: string; hint?: string }) {
  const messages = useShared();
  const showToast = useToast();
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const copy = async () => {
    input.current?.select();
    try {
      await navigator.clipboard.writeText(value);
      showToast(messages.copied);
    } catch {
      // Without the permission, or without TLS: the text is selected, so that the person can copy it.
      showToast(messages.copyByHand, 'amber');
    }
  };
  return (
    <div className="field">
      <label className="field-label" htmlFor={id}>
        {label}
      </label>
      <span id={`${id}-hint`} className="field-hint">
        {hint ?? messages.shownOnce}
      </span>
      <div className="secret">
        <input
          ref={input}
          id={id}
          className="input mono"
          aria-describedby={`${id}-hint`}
          readOnly
          value={value}
          onFocus={(event) => event.target.select()}
        />
        <Button look="primary" onClick={() => void copy()}>
          {messages.copy}
        </Button>
      </div>
    </div>
  );
}
