// Protected resource metadata (RFC 9728) of the API and of its MCP endpoint: authorization server and scopes. Also the paths
// and names that the authorization server and the pages share.

import type { Context } from 'koa';
import { FIRST_SCOPES, MCP_SCOPES } from '../../mcp/scopes.ts';
import { SCOPES } from '../access/principal.ts';
import { handleOtherMethod } from '../http/router.ts';

const RESOURCE_PATH = '/.well-known/oauth-protected-resource';
/** Path of the MCP endpoint, which clients treat as a resource of its own. */
export const MCP_PATH = '/mcp';

/** URL of the metadata that describe a path. @param issuer origin of the API */
export function metadataUrl(issuer: string, path: string): string {
  return issuer + RESOURCE_PATH + (path === MCP_PATH ? MCP_PATH : '');
}

/**
 * The parameters of the challenge in a 401 (RFC 6750, section 3): where the metadata are, and for agents the scopes to ask
 * for. Without these an agent asks for all scopes of the metadata. @param issuer origin of the API
 */
export function challengeParameters(issuer: string, path: string): string[] {
  const metadata = `resource_metadata="${metadataUrl(issuer, path)}"`;
  return path === MCP_PATH ? [metadata, `scope="${FIRST_SCOPES.join(' ')}"`] : [metadata];
}

/** The resource whose metadata are at a path, as a URL; null if none are. */
export function resourceAt(issuer: string, path: string): string | null {
  if (path === RESOURCE_PATH) return issuer;
  return path === RESOURCE_PATH + MCP_PATH ? issuer + MCP_PATH : null;
}

/** Whether tokens are issued for a resource. */
export function isOwnResource(issuer: string, resource: string): boolean {
  return [issuer, `${issuer}/`, issuer + MCP_PATH].includes(resource);
}

/** Path of the sign-out page. */
export const END_SESSION_PATH = '/oauth/end-session';
/** Name of the session cookie of a signed-in browser. */
export const SESSION_COOKIE = 'bl_session';

/** Scopes for sign-in, which give no access to the API. */
export const SIGN_IN_SCOPES = ['openid', 'offline_access'];

/** Answers with the metadata of a resource. @param issuer origin of the API and of its authorization server */
export function describeResource(ctx: Context, issuer: string, resource: string): void {
  if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
    handleOtherMethod(ctx, ['GET']);
    return;
  }
  const scopes = resource === issuer ? SCOPES : MCP_SCOPES;
  ctx.body = {
    resource,
    authorization_servers: [issuer],
    scopes_supported: [...scopes, ...SIGN_IN_SCOPES],
    bearer_methods_supported: ['header'],
    resource_name: 'BioLayer',
    resource_documentation: `${issuer}/docs`,
  };
}
