// The audit log: who changed what, and when. Entries are found by filters, which are kept in the address.

import type { AuditEntry } from '@biolayer/sdk';
import { useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { EmptyState, Facts } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { FilterBar, SelectFilter, TextFilter, useUrlFilters } from '../filter-bar.tsx';
import { useConsole, useConsoleOrg } from '../messages.ts';
import { momentOf } from '../webhooks/time-range.ts';
import { ExportDialog } from './export-dialog.tsx';
import '../console.css';
import './audit.css';

const FILTERS = ['about', 'actor', 'target', 'from', 'to'] as const;

export default function AuditRoom() {
  const { audit: text } = useConsoleOrg();
  const { nav } = useConsole();
  const [params, set, clear] = useUrlFilters();
  const [isExporting, setExporting] = useState(false);
  const [about = '', actor = '', target = '', from = '', to = ''] = FILTERS.map((name) =>
    (params.get(name) ?? '').trim(),
  );
  const [since, until] = [momentOf(from), momentOf(to)];
  const query = {
    ...(about !== '' && { action: [about] }),
    ...(actor !== '' && { actor: [actor] }),
    ...(target !== '' && { target: [target] }),
    ...(since !== null && { from: since }),
    ...(until !== null && (since === null || until > since) && { to: until }),
  };
  const list = usePaged<AuditEntry>(['audit', query], (page) => api.audit.list({ ...query, ...page }));
  const isFiltered = Object.keys(query).length > 0;
  const filter = (name: (typeof FILTERS)[number], value: string) => ({
    value,
    onChange: (next: string) => set(name, next),
  });
  return (
    <Page
      title={nav.audit}
      actions={
        <Button icon="download" onClick={() => setExporting(true)}>
          {text.export}
        </Button>
      }
    >
      <FilterBar label={text.filters}>
        <SelectFilter
          label={text.about}
          any={text.any}
          options={Object.entries(text.kinds)}
          {...filter('about', about)}
        />
        <TextFilter label={text.actor} {...filter('actor', actor)} />
        <TextFilter label={text.target} {...filter('target', target)} />
        <TextFilter label={text.from} type="datetime-local" {...filter('from', from)} />
        <TextFilter label={text.to} type="datetime-local" {...filter('to', to)} />
      </FilterBar>
      <PagedList
        list={list}
        empty={
          isFiltered ? (
            <EmptyState
              icon="search"
              title={text.noMatch}
              actions={<Button onClick={clear}>{text.clear}</Button>}
            >
              {text.noMatchHint}
            </EmptyState>
          ) : (
            <EmptyState icon="history" title={text.none} />
          )
        }
      >
        {(entries) => (
          <ol className="audit">
            {entries.map((entry) => (
              <li key={entry.sequence}>
                <Entry entry={entry} onActor={() => set('actor', entry.actor)} />
              </li>
            ))}
          </ol>
        )}
      </PagedList>
      {isExporting && <ExportDialog onClose={() => setExporting(false)} />}
    </Page>
  );
}

function Entry({ entry, onActor }: { entry: AuditEntry; onActor: () => void }) {
  const { audit: text } = useConsoleOrg();
  const format = useFormat();
  return (
    <details className="audit-entry">
      <summary>
        <strong>
          <code>{entry.action}</code>
        </strong>
        <span className="small url">{nameOf(entry)}</span>
        <span className="muted small url">{entry.actor}</span>
        <time className="muted small" dateTime={entry.at}>
          {format.dateTime(entry.at)}
        </time>
      </summary>
      <div className="audit-detail stack">
        <Facts
          facts={[
            [text.what, `${entry.target.type} ${entry.target.id}`],
            [text.actor, entry.actor],
            ...Object.entries(entry.data).map(([name, value]) => [name, shown(value)] as const),
            [
              text.hash,
              <code key="hash" className="url">
                {entry.hash}
              </code>,
            ],
          ]}
        />
        <div>
          <Button size="small" icon="search" onClick={onActor}>
            {text.onlyMine(entry.actor)}
          </Button>
        </div>
      </div>
    </details>
  );
}

/** What the entry is about, as people call it. */
function nameOf({ target, data }: AuditEntry): string {
  return typeof data.name === 'string' ? data.name : target.id;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
