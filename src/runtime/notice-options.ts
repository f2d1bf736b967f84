// What the processors need to send notices, from the configuration.

import type { Config } from '../config.ts';
import type { ProcessorOptions } from '../processors/processors.ts';

/** Mail server, links, and the contact for push services: `VAPID_SUBJECT`, or the public URL if it is https. */
export function noticeOptionsOf({
  mail,
  vapidSubject,
  publicUrl,
}: Pick<Config, 'mail' | 'vapidSubject' | 'publicUrl'>): Pick<
  ProcessorOptions,
  'mail' | 'vapidSubject' | 'publicUrl'
> {
  const subject = vapidSubject ?? (publicUrl?.startsWith('https:') === true ? publicUrl : undefined);
  return { mail, publicUrl, ...(subject !== undefined && { vapidSubject: subject }) };
}
