// `biolayer mcp`: the MCP server over stdio, for agents that start their servers themselves. It calls the API with the key
// from the environment. stdout belongs to the protocol; everything else goes to stderr.

import { finished } from 'node:stream/promises';
import type { Command } from 'commander';
import { openSession, type Streams } from './session.ts';

/** Adds `biolayer mcp`. @param version of the command */
export function addMcpCommand(program: Command, streams: Streams, version: string): void {
  program
    .command('mcp')
    .description('serve MCP over stdio, for an agent that starts this command')
    .action(async (_flags: object, command: Command) => {
      const { api: client } = await openSession(command, streams);
      // Loaded here, because no other command needs it.
      const [{ serveStdio }, { createMcpServer }] = await Promise.all([
        import('@modelcontextprotocol/server/stdio'),
        import('../mcp/server.ts'),
      ]);
      const closing = new AbortController();
      const server = serveStdio(() => createMcpServer({ client, version, closing: closing.signal }), {
        onerror: (error) => streams.stderr.write(`${error.message}\n`),
      });
      // The agent ends the server by closing its end of the pipe.
      await finished(process.stdin, { writable: false }).catch(() => undefined);
      closing.abort();
      await server.close();
    });
}
