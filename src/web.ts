// The web process: the API.

import { closeOnSignal, configure, createLog, loadConfig, sayReady, sealerOf } from './process.ts';
import { startWeb } from './start-web.ts';

const config = configure((env) => loadConfig(env, 'web'));
const log = createLog(config.logLevel, 'web');
const web = await startWeb({ ...config, sealer: sealerOf(config), log });
closeOnSignal(log, () => web.close());
sayReady(log, { url: web.url, port: web.port });
