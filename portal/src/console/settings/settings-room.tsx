// The organisation: its name, the networks from which it may be used, what it uses.

import type { Org } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { Loaded } from '../../shared/api/loaded.tsx';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Card, Facts, Table } from '../../shared/ui/containers.tsx';
import { Page } from '../../shared/ui/layout.tsx';
import { useMay, useMember } from '../member.tsx';
import { useConsole, useConsoleOrg } from '../messages.ts';
import { AllowlistForm } from './allowlist-form.tsx';
import { NameForm } from './name-form.tsx';
import { ORG_KEY, readOrg } from './org-data.ts';
import '../console.css';

export default function SettingsRoom() {
  const { nav } = useConsole();
  const { settings: text } = useConsoleOrg();
  const { pools = ['*'] } = useMember();
  const mayWrite = useMay('org:write') && pools.includes('*');
  const query = useQuery({ queryKey: ORG_KEY, queryFn: readOrg });
  return (
    <Page title={nav.settings}>
      <Loaded query={query} lines={8}>
        {(org) => (
          <div className="page-columns">
            <div className="stack">
              {mayWrite ? <NameForm key={`name ${org.etag}`} org={org} /> : <Name org={org.value} />}
              {mayWrite ? (
                <AllowlistForm key={`list ${org.etag}`} org={org} />
              ) : (
                <Card title={text.allowlist}>
                  <p>{org.value.ip_allowlist.join(', ') || text.everywhere}</p>
                </Card>
              )}
            </div>
            <Usage org={org.value} />
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Name({ org }: { org: Org }) {
  const { settings: text } = useConsoleOrg();
  const format = useFormat();
  return (
    <Card title={text.general}>
      <Facts
        facts={[
          [text.name, org.name],
          [text.id, <code key="id">{org.org_id}</code>],
          [text.created, format.date(org.created_at)],
        ]}
      />
    </Card>
  );
}

function Usage({ org }: { org: Org }) {
  const { settings: text } = useConsoleOrg();
  const format = useFormat();
  const rate = (limit: { requests: number; seconds: number } | null) =>
    limit === null
      ? text.noLimit
      : text.rate(format.number(limit.requests), format.duration(limit.seconds * 1000));
  return (
    <Card title={text.usage}>
      <Table label={text.usage}>
        <thead>
          <tr>
            <th scope="col">{text.quota}</th>
            <th scope="col">{text.used}</th>
            <th scope="col">{text.limit}</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(org.usage).map(([name, { used, limit }]) => {
            const amount = name.endsWith('_bytes') ? format.bytes : format.number;
            return (
              <tr key={name}>
                <th scope="row">{text.quotas[name] ?? name.replaceAll('_', ' ')}</th>
                <td className="numeric">{amount(used)}</td>
                <td className="numeric">{amount(limit)}</td>
              </tr>
            );
          })}
        </tbody>
      </Table>
      <h3>{text.rateLimits}</h3>
      <Facts
        facts={[
          [text.rateKey, rate(org.rate_limits.key)],
          [text.rateOrg, rate(org.rate_limits.org)],
        ]}
      />
    </Card>
  );
}
