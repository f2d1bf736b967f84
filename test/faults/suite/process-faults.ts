// Faults of processes and of what lies between them: killed, suspended, blocked, without file descriptors, slow clients.

import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { PARTS, type Part, type SystemOptions } from '../system.ts';
import { type Fault, killed, pause, suspended } from './scene.ts';
import { restartAll } from './upgrade.ts';

const run = promisify(execFile);
const WORKERS = ['worker 1', 'worker 2'] as const;
/** Longer than the lock of a job, which is 10 s. */
const PAST_THE_LOCK = 12_000;
const HOUR = 3600_000;

const SHIFTED: SystemOptions = {
  env: {
    web: { CLOCK_SHIFTS: String(2 * HOUR) },
    'worker 1': { CLOCK_SHIFTS: String(-3 * HOUR) },
    'worker 2': { CLOCK_SHIFTS: String(26 * HOUR) },
  },
};

/** Blocks event loops for `BLOCK_MS`. */
const blocked =
  (...parts: Part[]): Fault['inject'] =>
  async ({ system }) => {
    for (const part of parts) system.signal(part, 'SIGUSR2');
    await pause(PAST_THE_LOCK);
  };

/** Takes file descriptors away: a process has those that are open, and `more`. */
const fewDescriptors =
  (part: Part, more: number): Fault['inject'] =>
  async ({ system }) => {
    const pid = system.pid(part);
    const limit = (soft: number) => run('prlimit', ['--pid', String(pid), `--nofile=${soft}:`]);
    await limit((await readdir(`/proc/${pid}/fd`)).length + more);
    const sockets = part === 'web' ? openSockets(system.url, 50) : [];
    return async () => {
      await limit(65_536).catch(() => limit(4096));
      for (const socket of sockets) socket.destroy();
    };
  };

function openSockets(url: string, count: number): Socket[] {
  const { hostname, port } = new URL(url);
  return Array.from({ length: count }, () => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    return socket;
  });
}

/** Clients that send a byte of a header now and then. */
const slowLoris: Fault['inject'] = async ({ system }) => {
  const sockets = openSockets(system.url, 300);
  for (const socket of sockets) socket.write('POST /v1/tasks HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write('x');
  }, 500);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
};

/** The receiver answers otherwise than it should. */
const receiverAnswers =
  (status: number | null): Fault['inject'] =>
  async ({ receivers }) => {
    const [receiver] = receivers;
    if (receiver === undefined) return;
    receiver.answer = () => status;
    return () => {
      receiver.answer = () => 204;
      // Requests without an answer hold their slots.
      receiver.drop();
    };
  };

export const PROCESS_FAULTS: readonly Fault[] = [
  { name: 'nothing (baseline)', inject: () => pause(3000) },
  { name: 'kill -9 web', inject: killed('web'), holdMs: 500 },
  { name: 'kill -9 one worker', inject: killed('worker 1'), holdMs: 500 },
  { name: 'kill -9 all workers (relays)', inject: killed(...WORKERS), holdMs: 2000 },
  { name: 'kill -9 Redis', inject: killed('redis'), holdMs: 500 },
  { name: 'kill -9 everything at once', inject: killed(...PARTS), holdMs: 500 },
  { name: 'SIGSTOP web 5 s', inject: suspended('web'), holdMs: 5000 },
  { name: 'SIGSTOP one worker past the lock', inject: suspended('worker 2'), holdMs: PAST_THE_LOCK },
  { name: 'SIGSTOP all workers past the lock', inject: suspended(...WORKERS), holdMs: PAST_THE_LOCK },
  { name: 'SIGSTOP Redis 6 s', inject: suspended('redis'), holdMs: 6000 },
  { name: 'event loop of a worker blocked past the lock', inject: blocked('worker 1') },
  { name: 'event loops of web and workers blocked', inject: blocked('web', ...WORKERS) },
  { name: 'outage of Redis of 20 s', inject: killed('redis'), holdMs: 20_000 },
  { name: 'outage of all workers of 10 s', inject: killed(...WORKERS), holdMs: 10_000 },
  { name: 'rolling restart (SIGTERM) of all processes', inject: ({ system }) => restartAll(system) },
  {
    name: 'two more relays come and go',
    async inject({ system }) {
      await Promise.all([system.start('worker 3'), system.start('worker 4')]);
      return async () => {
        await Promise.all([system.kill('worker 3'), system.kill('worker 4')]);
      };
    },
    holdMs: 2000,
  },
  { name: 'file descriptors of web used up', inject: fewDescriptors('web', 4), holdMs: 5000 },
  { name: 'file descriptors of a worker used up', inject: fewDescriptors('worker 1', 0), holdMs: 5000 },
  { name: 'slow-loris: 300 connections', inject: slowLoris, holdMs: 6000 },
  { name: 'receiver answers 500 for 5 s', inject: receiverAnswers(500), holdMs: 5000 },
  { name: 'receiver does not answer for 5 s', inject: receiverAnswers(null), holdMs: 5000 },
  { name: 'clock skew: web +2 h, workers -3 h and +26 h', inject: () => pause(4000), system: SHIFTED },
];
