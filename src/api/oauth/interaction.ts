// The pages between an authorization request and its code: sign-in and consent. The library keeps the request (the
// interaction) and the signed-in member (the session); this file shows the pages and handles their forms.
//
// A form is accepted only with the cookie of its interaction, which a form on another site does not send (SameSite), with
// the token that our page contains, and from our own origin.

import type { Context } from 'koa';
import { errors, type Interaction, type Provider } from 'oidc-provider';
import { inBoth } from '../../state/access/permission.ts';
import { shortened } from '../../state/text/text.ts';
import {
  findMember,
  loadMember,
  type Member,
  normalEmail,
  passwordVersion,
} from '../../store/identity/members.ts';
import type { OAuthClient } from '../../store/identity/oauth-clients.ts';
import { parseSubject, subjectOf } from '../../store/identity/oauth-records.ts';
import { loadOrg } from '../../store/identity/orgs.ts';
import { canCheckPassword, isPassword, TooManyPasswords } from '../../store/identity/passwords.ts';
import { isSuspended } from '../../store/identity/suspension.ts';
import type { Db } from '../../store/redis/connection.ts';
import { orgSuspended } from '../http/problem.ts';
import { isConsoleClient, loadClient } from './console-client.ts';
import { formToken, isOwnForm, readForm } from './form.ts';
import { consentPage, errorPage, type Form, signInPage } from './pages.ts';
import { END_SESSION_PATH } from './resource.ts';
import type { SealedCookies } from './sealed-cookies.ts';
import { countSignInAttempt } from './sign-in-limits.ts';

/** Longest e-mail address, in UTF-16 units. */
const EMAIL_LENGTH = 254;
/** Longest password that is compared, in UTF-16 units. */
const PASSWORD_LENGTH = 200;

export interface InteractionDeps {
  db: Db;
  issuer: string;
  provider: Provider;
  /** Signs the tokens of forms. */
  secret: string;
  cookies: SealedCookies;
  /** IP address of the client; null when unknown. */
  address: string | null;
}

/** Answers a request to `/oauth/interaction/{uid}`: shows the current page, or handles its form. */
export async function handleInteraction(ctx: Context, deps: InteractionDeps): Promise<void> {
  const { provider } = deps;
  const interaction = await provider.interactionDetails(ctx.req, ctx.res).catch((error: unknown) => {
    if (error instanceof errors.SessionNotFound) return null;
    throw error;
  });
  const client =
    interaction && (await loadClient(deps.db, deps.issuer, String(interaction.params.client_id)));
  if (!interaction || !client || ctx.path !== `/oauth/interaction/${interaction.uid}`) {
    ctx.status = 400;
    return errorPage(ctx, 'This request has expired, or was started in another browser.');
  }
  if (await isSuspended(deps.db, client.org_id)) throw orgSuspended();
  const form: Form = {
    action: ctx.path,
    // Ties the form to its interaction and step.
    token: formToken(deps.secret, `${interaction.uid} ${interaction.prompt.name}`),
    clientName: client.name,
    orgName: (await loadOrg(deps.db, client.org_id))?.name ?? 'your organisation',
    redirectUri: String(interaction.params.redirect_uri),
    ...(isConsoleClient(client.client_id) && { otherOrg: '/console/sign-in?return_to=/console&org=' }),
  };
  const step = { ctx, deps, interaction, client, form };
  if (ctx.method === 'GET' || ctx.method === 'HEAD') return showPage(step);

  const fields = await readForm(ctx);
  if (!isOwnForm(ctx, fields, form.token, deps.issuer)) {
    ctx.status = 403;
    return errorPage(ctx, 'This form was not sent from this page.');
  }
  const action = fields.get('action');
  if (action === 'deny')
    return completeStep(step, { error: 'access_denied', error_description: 'The member denied access.' });
  if (action === 'sign_in' && interaction.prompt.name === 'login') return signIn(step, fields);
  if (action === 'allow' && interaction.prompt.name === 'consent') return grantAccess(step);
  return showPage(step);
}

interface Step {
  ctx: Context;
  deps: InteractionDeps;
  interaction: Interaction;
  client: OAuthClient;
  form: Form;
}

async function showPage(step: Step): Promise<void> {
  const { ctx, interaction, form } = step;
  if (interaction.prompt.name === 'login') {
    const hint = interaction.params.login_hint;
    return signInPage(ctx, form, { email: typeof hint === 'string' ? shortened(hint, EMAIL_LENGTH) : '' });
  }
  const member = await signedInMember(step);
  if (member === null) return showExpired(ctx);
  const access = requestedAccess(step, member);
  if (access.scopes.length === 0 && !access.identity)
    return completeStep(step, {
      error: 'access_denied',
      error_description: 'The member has none of these permissions.',
    });
  consentPage(ctx, form, access);
}

async function signIn(step: Step, fields: URLSearchParams): Promise<void> {
  const { ctx, deps, client, form } = step;
  const email = shortened(normalEmail(fields.get('email') ?? ''), EMAIL_LENGTH);
  const showAgain = (status: number, error: string) => {
    ctx.status = status;
    signInPage(ctx, form, { email, error });
  };
  const busy = () => showAgain(503, 'Too many sign-ins at the same time. Try again in a moment.');
  // Checked first, so that only attempts whose password can be checked are counted in Redis.
  if (!canCheckPassword()) return busy();
  const attempt = await countSignInAttempt(ctx, deps, { address: deps.address, orgId: client.org_id, email });
  if (attempt.wait > 0) {
    const seconds = Math.ceil(attempt.wait / 1000);
    ctx.set('Retry-After', String(seconds));
    const time = seconds < 60 ? `${seconds} s` : `${Math.ceil(seconds / 60)} minutes`;
    return showAgain(429, `Too many attempts. Try again in ${time}.`);
  }
  const member = await findMember(deps.db, client.org_id, email);
  const passwordMatches = await isPassword(
    (fields.get('password') ?? '').slice(0, PASSWORD_LENGTH),
    member?.password_hash ?? null,
  ).catch((error: unknown) => {
    if (error instanceof TooManyPasswords) return null;
    throw error;
  });
  if (passwordMatches === null) return busy();
  if (member === null || !passwordMatches || member.disabled)
    return showAgain(401, 'The email address or the password is wrong.');
  await attempt.succeeded();

  const accountId = subjectOf(member);
  await endOtherSession(step, accountId);
  await completeStep(step, { login: { accountId, amr: ['pwd'], acr: passwordVersion(member) } });
}

/** Ends the session of another member in this browser, so that the new member gets a new session. */
async function endOtherSession({ deps: { provider }, interaction }: Step, accountId: string): Promise<void> {
  const { session } = interaction;
  if (session === undefined || session.accountId === accountId) return;
  const other = await provider.Session.findByUid(session.uid);
  await other?.destroy();
  Reflect.deleteProperty(interaction, 'session');
  await interaction.persist();
}

async function grantAccess(step: Step): Promise<void> {
  const { ctx, deps, interaction, client } = step;
  const member = await signedInMember(step);
  if (member === null) return showExpired(ctx);
  const { Grant } = deps.provider;
  const existingGrant = interaction.grantId === undefined ? undefined : await Grant.find(interaction.grantId);
  const grant = existingGrant ?? new Grant({ accountId: subjectOf(member), clientId: client.client_id });
  // The version at sign-in: the member may have changed the password since.
  if (existingGrant === undefined) Object.assign(grant, { password_version: interaction.session?.acr });
  const { missingOIDCScope: oidcScopes, missingResourceScopes: asked } = missingScopesOf(interaction);
  if (oidcScopes !== undefined) grant.addOIDCScope(oidcScopes.join(' '));
  for (const [resource, scopes] of Object.entries(asked ?? {})) {
    const granted = inBoth(member.scopes, scopes);
    const withheld = scopes.filter((one) => !granted.includes(one));
    if (granted.length > 0) grant.addResourceScope(resource, granted.join(' '));
    // Recorded as rejected, or the library would ask for consent again at once.
    if (withheld.length > 0) grant.rejectResourceScope(resource, withheld.join(' '));
  }
  await completeStep(step, { consent: { grantId: await grant.save() } });
}

/** The signed-in member; null when the member was removed or disabled, or is of another org. */
async function signedInMember({ deps, interaction, client }: Step): Promise<Member | null> {
  const subject = parseSubject(interaction.session?.accountId ?? '');
  if (subject === null || subject.org_id !== client.org_id) return null;
  const member = await loadMember(deps.db, subject.org_id, subject.member_id);
  return member?.disabled ? null : member;
}

function requestedAccess({ interaction, client }: Step, member: Member) {
  const { missingOIDCScope: oidcScopes = [], missingResourceScopes: asked = {} } =
    missingScopesOf(interaction);
  const isAsked = Object.keys(asked).length > 0 || oidcScopes.length > 0;
  // Nothing is missing when the client asks for consent to be shown again (prompt=consent).
  const scopes = isAsked ? Object.values(asked).flat() : String(interaction.params.scope ?? '').split(' ');
  return {
    memberName: `${member.name} (${member.email})`,
    signOut: END_SESSION_PATH,
    scopes: [...inBoth(member.scopes, inBoth(client.scopes, scopes))],
    pools: inBoth(client.pools, member.pools),
    identity: oidcScopes.includes('openid'),
  };
}

interface MissingScopes {
  missingOIDCScope?: string[];
  missingResourceScopes?: Record<string, string[]>;
}

function missingScopesOf(interaction: Interaction): MissingScopes {
  return interaction.prompt.details as MissingScopes;
}

async function completeStep({ ctx, deps, interaction }: Step, result: object): Promise<void> {
  interaction.result = { ...('error' in result ? {} : interaction.lastSubmission), ...result };
  await interaction.persist();
  ctx.status = 303;
  ctx.redirect(`${deps.issuer}${new URL(interaction.returnTo).pathname}`);
  ctx.status = 303;
}

function showExpired(ctx: Context): void {
  ctx.status = 400;
  errorPage(ctx, 'Your sign-in has expired.');
}
