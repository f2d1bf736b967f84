// What the API says of itself as a protected resource (RFC 9728): who gives tokens for it, and with which scopes.

import type { Context } from 'koa';
import { SCOPES } from '../access/principal.ts';
import { answerOtherMethod } from '../http/router.ts';

export const RESOURCE_PATH = '/.well-known/oauth-protected-resource';

/** Where a person signs out. */
export const END_SESSION_PATH = '/oauth/end-session';
/** Name of the cookie of a browser in which somebody is signed in. */
export const SESSION_COOKIE = 'bl_session';

/** Scopes that are about signing in and not about the API. */
export const SIGN_IN_SCOPES = ['openid', 'offline_access'];

/** Answers with the metadata. @param issuer origin of the API, and of its authorization server. */
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
