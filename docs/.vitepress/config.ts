// The documentation site: `npm run docs` builds it into docs/.vitepress/dist. It loads nothing from other servers.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitepress';

const FOLDER = join(import.meta.dirname, '..');

const GROUPS: [title: string, pages: string[]][] = [
  [
    'Use it',
    [
      'sdk',
      'mcp',
      'lifecycle',
      'output-schemas',
      'supervision',
      'notices',
      'webhooks',
      'streams',
      'errors',
      'pages',
    ],
  ],
  ['Secure it', ['sign-in', 'oauth', 'security', 'audit']],
  ['Run it', ['operations', 'reliability', 'logs', 'performance', 'benchmark', 'architecture']],
];
const PAGES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.md') && name !== 'index.md')
  .map((name) => name.slice(0, -'.md'.length));
const grouped = GROUPS.flatMap(([, pages]) => pages);
const others = PAGES.filter((page) => !grouped.includes(page));

/** The first heading of a page. */
function titleOf(page: string): string {
  return /^# (.+)$/m.exec(readFileSync(join(FOLDER, `${page}.md`), 'utf8'))?.[1] ?? page;
}

const items = (pages: readonly string[]) =>
  pages.filter((page) => PAGES.includes(page)).map((page) => ({ text: titleOf(page), link: `/${page}` }));

export default defineConfig({
  title: 'BioLayer',
  description: 'Hand work from software to people.',
  lang: 'en',
  cleanUrls: true,
  // Links that lead nowhere fail the build.
  ignoreDeadLinks: false,
  themeConfig: {
    nav: GROUPS.map(([text, pages]) => ({ text, items: items(pages) })),
    sidebar: [...GROUPS, ...(others.length > 0 ? [['More', others] as const] : [])].map(([text, pages]) => ({
      text,
      items: items(pages),
    })),
    outline: [2, 3],
    search: { provider: 'local' },
  },
  markdown: {
    config(md) {
      // Sources and the README are not part of the site: a link to them becomes plain text.
      md.core.ruler.push('links_outside', ({ tokens }) => {
        for (const { children } of tokens) {
          let isOutside = false;
          for (const token of children ?? []) {
            if (token.type === 'link_open') isOutside = token.attrGet('href')?.startsWith('../') === true;
            if (!isOutside || !token.type.startsWith('link_')) continue;
            if (token.type === 'link_close') isOutside = false;
            token.type = 'text';
            token.tag = '';
            token.nesting = 0;
            token.content = '';
          }
        }
      });
    },
  },
});
