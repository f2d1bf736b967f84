// Writes the OpenAPI document that the server serves to docs/openapi.json. A test compares the two.

import { writeFile } from 'node:fs/promises';
import { openApi } from '../src/api/docs/openapi.ts';
import { ROUTES } from '../src/api/routes/index.ts';
import { DEFAULT_URL } from '../src/config.ts';
import { VERSION } from '../src/runtime/process.ts';

await writeFile('docs/openapi.json', `${JSON.stringify(openApi(ROUTES, VERSION, DEFAULT_URL), null, 2)}\n`);
