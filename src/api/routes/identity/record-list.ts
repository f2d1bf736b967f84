// Lists of records with permissions, such as members: a caller confined to some pools sees only records confined to the
// same pools.

import type { Permission } from '../../../state/access/permission.ts';
import type { Shape } from '../../../state/text/forms.ts';
import { type OrgKeys, orgKeysOf } from '../../../store/redis/keys.ts';
import { memberId } from '../../../store/redis/lists.ts';
import { loadRecords } from '../../../store/redis/records.ts';
import { maySee } from '../../access/grants.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { listPage, type PageQuery } from '../../http/list.ts';
import type { HttpResponse } from '../../http/response.ts';

/**
 * A page of the records in an index of the org, by creation.
 * @param index name of the index. @param keyOf key of the record with this id. @param shape fields that a record must
 *   have. @param view its public JSON
 */
export function listRecords<T extends Pick<Permission, 'pools'>>(
  { db }: ApiDeps,
  principal: KeyPrincipal,
  query: PageQuery,
  {
    index,
    keyOf,
    shape,
    view,
  }: {
    index: string;
    keyOf: (keys: OrgKeys, id: string) => string;
    shape: Shape<T>;
    view: (one: T) => object;
  },
): Promise<HttpResponse> {
  const keys = orgKeysOf(db.prefix, principal.org_id);
  return listPage(db, query, {
    indexes: [keys.index(index)],
    boundTo: [index, principal.org_id, principal.pools],
    load: async (members) => {
      const records = await loadRecords(
        db,
        members.map((member) => keyOf(keys, memberId(member))),
        shape,
      );
      return records.map((one) => (one !== null && maySee(principal, one) ? one : null));
    },
    show: (records) => records.map(view),
  });
}
