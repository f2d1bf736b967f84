// `/docs`: the interactive API reference. Swagger UI from its package, under a policy that allows neither inline code nor
// other origins.

import { fileURLToPath } from 'node:url';
import type { Middleware } from 'koa';
import sirv from 'sirv';
import type { Admission } from '../access/admission.ts';
import { handleOtherMethod } from '../http/router.ts';
import { errorsPage } from './error-guide.ts';
import { REFERENCE_SCRIPT } from './reference-script.ts';

const DOCS_PATH = '/docs';

const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Swagger UI's icons are data URLs.
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>BioLayer API</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<div id="reference"></div>
<noscript>This page needs JavaScript. The same as data: <a href="/openapi.json">openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/page.js"></script>
</body>
</html>
`;

/** Colours of Swagger UI with too little contrast (WCAG 2.2, 1.4.3), and the full width of small screens. */
const STYLE = `
body { margin: 0; background: #fff; }
.errors { max-width: 70rem; margin: 0 auto; padding: 1rem; color: #24292f; font: 1rem/1.5 system-ui, sans-serif; }
.errors h2 { margin: 2rem 0 0; font-size: 1.1rem; }
.errors h2:target { background: #fff3c4; }
.errors p { margin: 0.25rem 0; }
.errors a { color: #0b5cad; }
.swagger-ui a, .swagger-ui .info a, .swagger-ui .info .link { color: #0b5cad; }
.swagger-ui .info .title small { background: #57606a; }
.swagger-ui .info .title small.version-stamp { background: #3f6300; }
.swagger-ui .opblock.opblock-get .opblock-summary-method { background: #0b5cad; }
.swagger-ui .opblock.opblock-post .opblock-summary-method { background: #17703f; }
.swagger-ui .opblock.opblock-put .opblock-summary-method { background: #8a4b00; }
.swagger-ui .opblock.opblock-patch .opblock-summary-method { background: #0f6b63; }
.swagger-ui .opblock.opblock-delete .opblock-summary-method { background: #b3261e; }
.swagger-ui .btn.authorize { border-color: #17703f; color: #17703f; }
.swagger-ui .btn.authorize svg { fill: #17703f; }
.swagger-ui .parameter__name.required span, .swagger-ui .parameter__name.required::after,
.swagger-ui .opblock-section-request-body .required, .swagger-ui section.models .required { color: #b3261e; }
.swagger-ui .parameter__in, .swagger-ui .parameter__deprecated, .swagger-ui .prop-format { color: #57606a; }
.swagger-ui .tab li button.tablinks, .swagger-ui .opblock-tag small { color: #3b4151; }
.swagger-ui .microlight { background: #111 !important; }
/* The document has no links between operations, and on a phone the column would not fit. */
.swagger-ui .response-col_links { display: none; }
.swagger-ui .filter .operation-filter-input { box-sizing: border-box; width: 100%; }
`;

const OWN_FILES: Readonly<Record<string, { type: string; text: string }>> = {
  '/errors': { type: 'text/html', text: errorsPage() },
  '': { type: 'text/html', text: PAGE },
  '/': { type: 'text/html', text: PAGE },
  '/page.js': { type: 'text/javascript', text: REFERENCE_SCRIPT },
  '/page.css': { type: 'text/css', text: STYLE },
};

/** The files of Swagger UI's package that the page needs. */
const PACKAGE_FILES =
  /^\/(swagger-ui\.css|swagger-ui-bundle\.js|favicon-32x32\.png|oauth2-redirect\.(html|js))$/;

/** Middleware that serves the reference under `/docs`. */
export function docsPage(admission: Admission): Middleware {
  const folder = fileURLToPath(new URL('.', import.meta.resolve('swagger-ui-dist')));
  const packageFiles = sirv(folder, { etag: true, maxAge: 3600 });
  return (ctx, next) => {
    if (ctx.path !== DOCS_PATH && !ctx.path.startsWith(`${DOCS_PATH}/`)) return next();
    const name = ctx.path.slice(DOCS_PATH.length);
    const own = OWN_FILES[name];
    const isPackageFile = PACKAGE_FILES.test(name);
    if (own === undefined && !isPackageFile) return next();
    admission.countAnonymous(ctx);
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') return handleOtherMethod(ctx, ['GET']);
    ctx.set('Content-Security-Policy', CSP);
    if (own !== undefined) {
      ctx.type = own.type;
      ctx.body = own.text;
      return;
    }
    ctx.respond = false;
    ctx.url = name;
    return new Promise<void>((resolve) => {
      ctx.res.once('close', resolve);
      packageFiles(ctx.req, ctx.res);
    });
  };
}
