// The task types of the org: defaults for new tasks, with all their versions.

import type { TaskType } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, Route, Switch } from 'wouter';
import { api } from '../../shared/api/client.ts';
import { Loaded } from '../../shared/api/loaded.tsx';
import { PagedList, usePaged } from '../../shared/api/pages.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Markdown } from '../../shared/markdown/markdown.tsx';
import { Card, EmptyState, Facts, Table } from '../../shared/ui/containers.tsx';
import { SelectField } from '../../shared/ui/field.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useConsole, useConsoleOrg } from '../messages.ts';
import '../console.css';

export default function TypesRoom() {
  return (
    <Switch>
      <Route path="/console/types/:name">{({ name }) => <TypePage key={name} name={name} />}</Route>
      <Route>
        <TypesPage />
      </Route>
    </Switch>
  );
}

function TypesPage() {
  const { types: text } = useConsoleOrg();
  const { nav } = useConsole();
  const format = useFormat();
  const list = usePaged<TaskType>(['types'], (page) => api.taskTypes.list(page));
  return (
    <Page title={nav.types}>
      <PagedList
        list={list}
        empty={
          <EmptyState icon="file" title={text.none}>
            {text.noneHint}
          </EmptyState>
        }
      >
        {(types) => (
          <Table label={nav.types}>
            <thead>
              <tr>
                <th scope="col">{text.name}</th>
                <th scope="col" className="wide-only">
                  {text.title}
                </th>
                <th scope="col">{text.version}</th>
                <th scope="col">{text.changed}</th>
              </tr>
            </thead>
            <tbody>
              {types.map((type) => (
                <tr key={type.name}>
                  <th scope="row">
                    <span className="cell-name">
                      <Link href={`/console/types/${encodeURIComponent(type.name)}`}>{type.name}</Link>
                    </span>
                  </th>
                  <td className="wide-only">{type.title ?? '–'}</td>
                  <td className="numeric">{format.number(type.version)}</td>
                  <td>{format.relative(type.created_at)}</td>
                </tr>
              ))}
            </tbody>
          </Table>
        )}
      </PagedList>
    </Page>
  );
}

function TypePage({ name }: { name: string }) {
  const { types: text } = useConsoleOrg();
  const format = useFormat();
  const [chosen, setChosen] = useState('');
  const query = useQuery({
    queryKey: ['types', 'versions', name],
    queryFn: async () => (await api.taskTypes.listVersions(name, { limit: 200 })).data,
  });
  return (
    <Page title={name}>
      <Loaded query={query} lines={8}>
        {(versions) => {
          const newest = versions.reduce((a, b) => (a.version > b.version ? a : b), versions[0] as TaskType);
          const shown = versions.find((one) => String(one.version) === chosen) ?? newest;
          return (
            <div className="stack">
              <div className="input-short">
                <SelectField
                  label={text.versions}
                  value={String(shown.version)}
                  onChange={(event) => setChosen(event.target.value)}
                >
                  {versions.map(({ version }) => (
                    <option key={version} value={version}>
                      {text.showVersion(format.number(version))}
                      {version === newest.version ? ` · ${text.newest}` : ''}
                    </option>
                  ))}
                </SelectField>
              </div>
              <Definition type={shown} />
            </div>
          );
        }}
      </Loaded>
    </Page>
  );
}

function Definition({ type }: { type: TaskType }) {
  const { types: text } = useConsoleOrg();
  const format = useFormat();
  const { name, version, title, domain, instructions, created_at, created_by, ...rest } = type;
  return (
    <>
      <Card>
        <Facts
          facts={[
            [text.title, title],
            [text.domain, domain],
            [text.version, `${name} ${format.number(version)}`],
            [text.changed, format.dateTime(created_at)],
            [text.by, created_by],
          ]}
        />
      </Card>
      {instructions !== undefined && (
        <Card title={text.instructions}>
          <Markdown text={instructions} />
        </Card>
      )}
      <Card title={text.definition}>
        <pre className="definition">{JSON.stringify(rest, null, 2)}</pre>
      </Card>
    </>
  );
}
