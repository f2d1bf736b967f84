// The steps of a person between a client's request and its code: sign in, allow. The library keeps what was
// asked (the interaction) and who is signed in (the session); here the person is looked at and answers.
//
// A form counts only with the cookie of its interaction, which no other site's form carries (SameSite), with the
// token that our page put into it, and from our own origin.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { errors, type Interaction, type Provider } from 'oidc-provider';
import getRawBody from 'raw-body';
import { narrowed } from '../../state/permission.ts';
import { countAttempt, forgetAttempts } from '../../store/attempts.ts';
import { findMember, loadMember, type Member, normalEmail } from '../../store/members.ts';
import { loadOAuthClient, type OAuthClient } from '../../store/oauth-clients.ts';
import { parseSubject, subjectOf } from '../../store/oauth-records.ts';
import { isPassword, TooManyPasswords } from '../../store/passwords.ts';
import type { Db } from '../../store/redis.ts';
import { consentPage, errorPage, type Form, signInPage } from './pages.ts';

/** Failed attempts within fifteen minutes: for one member from anywhere, and from one address for anybody. */
const MOST_PER_MEMBER = 10;
const MOST_PER_ADDRESS = 50;
const FORM_LIMIT = 8 * 1024;
const FORM_TIME = 10_000;

export interface InteractionDeps {
  db: Db;
  issuer: string;
  provider: Provider;
  /** Signs the tokens of forms. */
  secret: string;
  /** Where the request comes from. */
  address: string;
}

/** Answers a request to `/oauth/interaction/{uid}`: shows the step that is next, or takes its answer. */
export async function interact(ctx: Context, deps: InteractionDeps): Promise<void> {
  const { provider } = deps;
  const interaction = await provider.interactionDetails(ctx.req, ctx.res).catch((error: unknown) => {
    if (error instanceof errors.SessionNotFound) return null;
    throw error;
  });
  const client = interaction && (await loadOAuthClient(deps.db, String(interaction.params.client_id)));
  if (!interaction || !client || ctx.path !== `/oauth/interaction/${interaction.uid}`) {
    ctx.status = 400;
    return errorPage(ctx, 'This request has expired, or was begun in another browser.');
  }
  const form: Form = {
    action: ctx.path,
    token: formToken(deps.secret, interaction),
    clientName: client.name,
    redirectUri: String(interaction.params.redirect_uri),
  };
  const step = { ctx, deps, interaction, client, form };
  if (ctx.method === 'GET' || ctx.method === 'HEAD') return showStep(step);

  const given = await readForm(ctx);
  const origin = ctx.get('Origin');
  if (!isSame(given.get('token') ?? '', form.token) || (origin !== '' && origin !== deps.issuer)) {
    ctx.status = 403;
    return errorPage(ctx, 'This form did not come from this page.');
  }
  const action = given.get('action');
  if (action === 'deny')
    return finish(step, { error: 'access_denied', error_description: 'The member refused.' });
  if (action === 'sign_in' && interaction.prompt.name === 'login') return signIn(step, given);
  if (action === 'allow' && interaction.prompt.name === 'consent') return allow(step);
  return showStep(step);
}

interface Step {
  ctx: Context;
  deps: InteractionDeps;
  interaction: Interaction;
  client: OAuthClient;
  form: Form;
}

async function showStep(step: Step): Promise<void> {
  const { ctx, interaction, form } = step;
  if (interaction.prompt.name === 'login') {
    const hint = interaction.params.login_hint;
    return signInPage(ctx, form, { email: typeof hint === 'string' ? hint.slice(0, 254) : '' });
  }
  const member = await signedIn(step);
  if (member === null) return expired(ctx);
  const wish = wishOf(step, member);
  if (wish.scopes.length === 0 && !wish.identity)
    return finish(step, { error: 'access_denied', error_description: 'The member may do nothing of this.' });
  consentPage(ctx, form, wish);
}

async function signIn(step: Step, given: URLSearchParams): Promise<void> {
  const { ctx, deps, client, form } = step;
  const email = normalEmail(given.get('email') ?? '').slice(0, 254);
  const again = (status: number, error: string) => {
    ctx.status = status;
    signInPage(ctx, form, { email, error });
  };
  const who = `member ${client.org_id} ${email}`;
  const where = `address ${deps.address}`;
  const waits = await Promise.all([
    countAttempt(deps.db, who, MOST_PER_MEMBER),
    countAttempt(deps.db, where, MOST_PER_ADDRESS),
  ]);
  const wait = Math.max(...waits.map((one) => one ?? 0));
  if (wait > 0) {
    ctx.set('Retry-After', String(Math.ceil(wait / 1000)));
    return again(429, `Too many attempts. Try again in ${Math.ceil(wait / 60_000)} minutes.`);
  }
  const member = await findMember(deps.db, client.org_id, email);
  const isRight = await isPassword(
    (given.get('password') ?? '').slice(0, 200),
    member?.password_hash ?? null,
  ).catch((error: unknown) => {
    if (error instanceof TooManyPasswords) return null;
    throw error;
  });
  if (isRight === null) return again(503, 'Too many people are signing in. Try again in a moment.');
  if (member === null || !isRight || member.disabled)
    return again(401, 'The address or the password is wrong.');
  await forgetAttempts(deps.db, who);

  const accountId = subjectOf(member);
  await forgetOther(step, accountId);
  await finish(step, { login: { accountId, amr: ['pwd'] } });
}

/** Ends the session of whoever else is signed in in this browser, so that the next begins as the new one's. */
async function forgetOther({ deps: { provider }, interaction }: Step, accountId: string): Promise<void> {
  const { session } = interaction;
  if (session === undefined || session.accountId === accountId) return;
  const other = await provider.Session.findByUid(session.uid);
  await other?.destroy();
  Reflect.deleteProperty(interaction, 'session');
  await interaction.persist();
}

async function allow(step: Step): Promise<void> {
  const { ctx, deps, interaction, client } = step;
  const member = await signedIn(step);
  if (member === null) return expired(ctx);
  const { Grant } = deps.provider;
  const known = interaction.grantId === undefined ? undefined : await Grant.find(interaction.grantId);
  const grant = known ?? new Grant({ accountId: subjectOf(member), clientId: client.client_id });
  const { missingOIDCScope: about, missingResourceScopes: asked } = askedOf(interaction);
  if (about !== undefined) grant.addOIDCScope(about.join(' '));
  for (const [resource, scopes] of Object.entries(asked ?? {})) {
    const given = narrowed(member.scopes, scopes);
    const kept = scopes.filter((one) => !given.includes(one));
    if (given.length > 0) grant.addResourceScope(resource, given.join(' '));
    // So that they are not asked for again at once.
    if (kept.length > 0) grant.rejectResourceScope(resource, kept.join(' '));
  }
  await finish(step, { consent: { grantId: await grant.save() } });
}

/** The member who is signed in; null when they may not any more. */
async function signedIn({ deps, interaction, client }: Step): Promise<Member | null> {
  const subject = parseSubject(interaction.session?.accountId ?? '');
  if (subject === null || subject.org_id !== client.org_id) return null;
  const member = await loadMember(deps.db, subject.org_id, subject.member_id);
  return member?.disabled ? null : member;
}

function wishOf({ interaction, client }: Step, member: Member) {
  const { missingOIDCScope: about = [], missingResourceScopes: asked = {} } = askedOf(interaction);
  const isAsked = Object.keys(asked).length > 0 || about.length > 0;
  // Asked once more although all was allowed before: the client wants it seen.
  const scopes = isAsked ? Object.values(asked).flat() : String(interaction.params.scope ?? '').split(' ');
  return {
    memberName: `${member.name} (${member.email})`,
    scopes: [...narrowed(member.scopes, narrowed(client.scopes, scopes))],
    pools: narrowed(client.pools, member.pools),
    identity: about.includes('openid'),
  };
}

interface Asked {
  missingOIDCScope?: string[];
  missingResourceScopes?: Record<string, string[]>;
}

function askedOf(interaction: Interaction): Asked {
  return interaction.prompt.details as Asked;
}

async function finish({ ctx, deps, interaction }: Step, result: object): Promise<void> {
  interaction.result = { ...('error' in result ? {} : interaction.lastSubmission), ...result };
  await interaction.persist();
  ctx.status = 303;
  ctx.redirect(`${deps.issuer}${new URL(interaction.returnTo).pathname}`);
  ctx.status = 303;
}

function expired(ctx: Context): void {
  ctx.status = 400;
  errorPage(ctx, 'You are not signed in any more.');
}

/** Ties a form to its interaction and step. */
function formToken(secret: string, { uid, prompt }: Interaction): string {
  return createHmac('sha256', secret).update(`form ${uid} ${prompt.name}`).digest('base64url');
}

function isSame(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}

async function readForm(ctx: Context): Promise<URLSearchParams> {
  if (!ctx.is('application/x-www-form-urlencoded')) return new URLSearchParams();
  const late = AbortSignal.timeout(FORM_TIME);
  const cut = () => ctx.req.destroy();
  late.addEventListener('abort', cut);
  try {
    const length = ctx.get('Content-Length') || null;
    return new URLSearchParams(await getRawBody(ctx.req, { length, limit: FORM_LIMIT, encoding: 'utf8' }));
  } catch {
    return new URLSearchParams();
  } finally {
    late.removeEventListener('abort', cut);
  }
}
