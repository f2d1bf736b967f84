#!/usr/bin/env node
// The `biolayer` command, as npm installs it. `npm run build` compiles what it runs.

import '../dist/src/cli.js';
