// Receivers of notices on loopback: an SMTP server, and an HTTP server that stands for a push service or Slack. A
// subscription as a browser makes it, and the decryption that the browser does (RFC 8188 and RFC 8291), written here from
// the documents so that the library that encrypts is checked by something else.
import { createDecipheriv, createECDH, createPublicKey, hkdfSync, randomBytes, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { onTestFinished } from 'vitest';

export interface NoticeRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface NoticeReceiver {
  url: string;
  received: NoticeRequest[];
  /** The response to the `nth` request, from 1; `hang` for none. */
  reply: (nth: number) => { status: number } | 'hang';
}

/** Starts an HTTP server that records requests; closed at the end of the test. */
export async function startNoticeReceiver(
  reply: NoticeReceiver['reply'] = () => ({ status: 201 }),
): Promise<NoticeReceiver> {
  const receiver: NoticeReceiver = { url: '', received: [], reply };
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const { headers, url: path = '' } = request;
    receiver.received.push({ path, headers, body: Buffer.concat(pieces) });
    const answer = receiver.reply(receiver.received.length);
    if (answer !== 'hang') response.writeHead(answer.status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return receiver;
}

export interface MailServer {
  url: string;
  received: { to: string[]; text: string }[];
  /** What the server does with a message: takes it, refuses it with a reply code, or never answers. */
  take: () => 'take' | 'hang' | number;
  close(): Promise<void>;
}

/** Starts an SMTP server that records messages. */
export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, session, done) {
      const pieces: Buffer[] = [];
      stream.on('data', (piece: Buffer) => pieces.push(piece));
      stream.on('end', () => {
        const answer = mail.take();
        if (answer === 'hang') return;
        if (answer !== 'take') return done(Object.assign(new Error('no'), { responseCode: answer }));
        const to = session.envelope.rcptTo.map((one) => one.address);
        mail.received.push({ to, text: Buffer.concat(pieces).toString() });
        done();
      });
    },
    ...options,
  });
  server.on('error', () => undefined);
  const mail: MailServer = {
    url: '',
    received: [],
    take: () => 'take',
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  mail.url = `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  return mail;
}

/** The text of a message that is sent as quoted-printable. */
export function plainText(message: string): string {
  return Buffer.from(
    message
      .replaceAll(/=\r\n/g, '')
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');
}

/** A subscription of a browser at an endpoint, and what it makes of a request. */
export function subscribe(endpoint: string) {
  const pair = createECDH('prime256v1');
  pair.generateKeys();
  const auth = randomBytes(16);
  const subscription = {
    endpoint,
    expirationTime: null,
    keys: { p256dh: pair.getPublicKey('base64url'), auth: auth.toString('base64url') },
  };

  /** The payload of a request. @throws Error when it was not encrypted for this subscription */
  function decrypt({ headers, body }: NoticeRequest): Record<string, unknown> {
    if (headers['content-encoding'] !== 'aes128gcm') throw new Error('another content encoding');
    const salt = body.subarray(0, 16);
    const idLength = body.readUInt8(20);
    const sender = body.subarray(21, 21 + idLength);
    const shared = pair.computeSecret(sender);
    const info = Buffer.concat([Buffer.from('WebPush: info\0'), pair.getPublicKey(), sender]);
    const input = hkdf(shared, auth, info, 32);
    const key = hkdf(input, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16);
    const nonce = hkdf(input, salt, Buffer.from('Content-Encoding: nonce\0'), 12);
    const sealed = body.subarray(21 + idLength);
    const decipher = createDecipheriv('aes-128-gcm', key, nonce).setAuthTag(sealed.subarray(-16));
    const padded = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    return JSON.parse(padded.subarray(0, padded.lastIndexOf(2)).toString());
  }

  return { subscription, decrypt };
}

function hkdf(secret: Buffer, salt: Buffer, info: Buffer, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, length));
}

/** The claims of the VAPID token of a request, verified with the key that its header names (RFC 8292). */
export function vapidClaims({ headers }: NoticeRequest): { key: string; claims: Record<string, unknown> } {
  const [, token = '', key = ''] = /^vapid t=([^,]+), ?k=(.+)$/.exec(headers.authorization ?? '') ?? [];
  const [head = '', payload = '', signature = ''] = token.split('.');
  const point = Buffer.from(key, 'base64url');
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((one) => one.toString('base64url'));
  const jwk = { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' };
  const isValid = verify(
    'sha256',
    Buffer.from(`${head}.${payload}`),
    { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  if (!isValid) throw new Error('the token is not signed with the key');
  return { key, claims: JSON.parse(Buffer.from(payload, 'base64url').toString()) };
}
