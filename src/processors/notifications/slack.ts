// Slack-compatible incoming webhooks: a POST of a JSON text.

import type { NoticeMessage } from '../../state/notices/message.ts';
import type { SendRequest } from '../webhooks/sender.ts';

/** The request for one notice. @param url of the incoming webhook */
export function slackRequest(url: string, { title, body, url: link }: NoticeMessage): SendRequest {
  const text = [title, body].map(escaped).join('\n') + (link === null ? '' : `\n<${link}>`);
  // What a person wrote must not notify a channel or be rendered as markup.
  return { url, headers: {}, body: JSON.stringify({ text, mrkdwn: false, unfurl_links: false }) };
}

/** The characters that Slack gives a meaning, escaped as it documents. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
