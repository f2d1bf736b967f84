// Protected resource metadata of the API (RFC 9728): its authorization server and scopes. Also the paths and names that the
// authorization server and the pages share.

import type { Context } from 'koa';
import { SCOPES } from '../access/principal.ts';
import { answerOtherMethod } from '../http/router.ts';

export const RESOURCE_PATH = '/.well-known/oauth-protected-resource';

/** Path of the sign-out page. */
export const END_SESSION_PATH = '/oauth/end-session';
/** Name of the session cookie of a signed-in browser. */
export const SESSION_COOKIE = 'bl_session';

/** Scopes for sign-in, which give no access to the API. */
export const SIGN_IN_SCOPES = ['openid', 'offline_access'];

/** Answers with the metadata. @param issuer origin of the API and of its authorization server */
export function describeResource(ctx: Context, issuer: string): void {
  if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
    answerOtherMethod(ctx, ['GET']);
    return;
  }
  ctx.body = {
    resource: issuer,
    authorization_servers: [issuer],
    scopes_supported: [...SCOPES, ...SIGN_IN_SCOPES],
    bearer_methods_supported: ['header'],
    resource_name: 'BioLayer',
    resource_documentation: `${issuer}/docs`,
  };
}
