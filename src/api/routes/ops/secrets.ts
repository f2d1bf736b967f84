// What is sealed under SECRETS_KEY, for the operator who changes it.

import Type from 'typebox';
import { MODES, modeOf, orgOf } from '../../../state/access/tenant.ts';
import { type Lost, resealSome, SEALED_KINDS } from '../../../store/maintenance/resealing.ts';
import { cursorOf, readCursor } from '../../http/list.ts';
import { closed, nullable, word } from '../../http/schemas.ts';
import { route } from '../../route.ts';

const BOUND = 'reseal';
/** Where a step ended: a tenant, and the last of its tasks that was looked at. */
const POSITION = /^[\w-]{1,80}( [\w-]{1,64})?$/;

export const secretRoutes = [
  route({
    method: 'POST',
    path: '/admin/secrets/reseal',
    access: { kind: 'operator' },
    tag: 'Operators',
    summary:
      'Seal with SECRETS_KEY what an earlier key sealed, a step at a time: go on with next_cursor until it is null',
    body: closed({ cursor: Type.Optional(Type.String({ maxLength: 1000 })) }),
    bodyOptional: true,
    answers: {
      200: {
        description: 'What one step did',
        schema: closed({
          resealed: Type.Integer({ description: 'Things sealed anew' }),
          lost: Type.Integer({ description: 'Things that no configured key opens' }),
          lost_items: Type.Array(
            closed({
              kind: word(SEALED_KINDS),
              org_id: nullable(Type.String()),
              mode: nullable(word(MODES)),
              id: nullable(Type.String({ description: 'Of the endpoint or the task' })),
              key_id: nullable(Type.String({ description: 'The key that it was sealed with' })),
            }),
            { description: 'What these are' },
          ),
          next_cursor: nullable(Type.String()),
        }),
      },
    },
    async handler({ deps: { db, sealer }, body }) {
      const { resealed, lost, next } = await resealSome(db, sealer, readCursor(BOUND, body.cursor, POSITION));
      const next_cursor = next === null ? null : cursorOf(BOUND, next);
      return {
        status: 200,
        body: { resealed, lost: lost.length, lost_items: lost.map(lostItem), next_cursor },
      };
    },
  }),
];

function lostItem({ kind, tenant, id, key_id }: Lost) {
  const [org_id, mode] = tenant === null ? [null, null] : [orgOf(tenant), modeOf(tenant)];
  return { kind, org_id, mode, id, key_id };
}
