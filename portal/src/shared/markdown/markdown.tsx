// Text that may hold Markdown, from people and programs that nobody here knows: parsed by marked, sanitised by DOMPurify. No
// images, styles, forms or frames; links open in a new tab and tell it nothing. Until the parser is loaded, and on demand, the
// text is shown as it is.

import { useEffect, useState } from 'react';
import { useShared } from '../i18n/messages.tsx';
import { Segmented } from '../ui/field.tsx';
import './markdown.css';

/** Signs that a text is Markdown. Other text is shown as it is. */
const MARKS = /^(#{1,6} |[-*+] |\d+[.)] |>|```|\|.*\|)|\*\*\S|__\S|`[^`\n]+`|\[[^\]\n]+\]\(/m;

/** @param isPlain without the switch to the plain text. */
export function Markdown({ text, isPlain = false }: { text: string; isPlain?: boolean }) {
  const { markdown } = useShared();
  const [view, setView] = useState<'formatted' | 'plain'>('formatted');
  const [html, setHtml] = useState<{ of: string; html: string } | null>(null);
  const isMarkdown = MARKS.test(text);
  useEffect(() => {
    if (!isMarkdown) return;
    let isCurrent = true;
    void import('./render.ts').then(({ renderMarkdown }) => {
      if (isCurrent) setHtml({ of: text, html: renderMarkdown(text) });
    });
    return () => {
      isCurrent = false;
    };
  }, [text, isMarkdown]);
  if (!isMarkdown) return <div className="plain-text prose">{text}</div>;
  return (
    <div className="stack stack-tight">
      {view === 'formatted' && html?.of === text ? (
        // biome-ignore lint/security/noDangerouslySetInnerHtml: sanitised by DOMPurify.
        <div className="prose" dangerouslySetInnerHTML={{ __html: html.html }} />
      ) : (
        <div className="plain-text prose">{text}</div>
      )}
      {!isPlain && (
        <Segmented
          label={markdown.view}
          value={view}
          onChange={setView}
          options={[
            { value: 'formatted', label: markdown.formatted },
            { value: 'plain', label: markdown.plain },
          ]}
        />
      )}
    </div>
  );
}
