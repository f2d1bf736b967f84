// Resealing of stored secrets, for the operator who rotates SECRETS_KEY.

import Type from 'typebox';
import { MODES, modeOf, orgOf } from '../../../state/access/tenant.ts';
import { type Lost, resealSome, SEALED_KINDS } from '../../../store/maintenance/resealing.ts';
import { cursorOf, readCursor } from '../../http/list.ts';
import { closed, cursorIn, idOf, label, nextCursor, nullable, word } from '../../http/schemas.ts';
import { route } from '../../route.ts';

const BOUND = 'reseal';
/** Position after a step: a tenant, and its last task that was examined. */
const POSITION = /^[\w-]{1,80}( [\w-]{1,64})?$/;

export const secretRoutes = [
  route({
    method: 'POST',
    path: '/admin/secrets/reseal',
    access: { kind: 'operator' },
    tag: 'Operators',
    operationId: 'resealSecrets',
    summary: 'Reseal secrets with the current key',
    description: 'One step after a change of `SECRETS_KEY`; repeat with `next_cursor` until it is null.',
    body: closed({
      cursor: cursorIn('`next_cursor` of the step before'),
    }),
    bodyOptional: true,
    responses: {
      200: {
        description: 'Result of the step',
        schema: closed({
          resealed: Type.Integer({ minimum: 0, description: 'Number of secrets that were resealed' }),
          lost: Type.Integer({
            minimum: 0,
            description: 'Number of secrets that no configured key can open',
          }),
          lost_items: Type.Array(
            closed(
              {
                kind: word(SEALED_KINDS, { description: 'What the secret belongs to' }),
                org_id: nullable(idOf('org; null for none')),
                mode: nullable(word(MODES, { description: '`test` for its sandbox; null for none' })),
                id: nullable(label('Id of the endpoint or task')),
                key_id: nullable(label('Id of the key that sealed it')),
              },
              'LostSecret',
              'A secret that no configured key can open',
            ),
            { description: 'The secrets that no configured key can open' },
          ),
          next_cursor: nextCursor('`cursor` of the next step; null after the last'),
        }),
      },
    },
    errors: ['invalid_cursor'],
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
