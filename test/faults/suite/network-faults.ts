// A bad network, imitated by a proxy on loopback. What TCP makes of lost packets is what processes see of them: a piece of the
// stream, and all that follows it, arrives a retransmission timeout later (0.2 s, doubled with each further loss), or the
// connection breaks.

import type { RedisProxy } from '../../support/redis-proxy.ts';
import type { SystemOptions } from '../system.ts';
import type { Fault, Scene } from './scene.ts';

type Network = (scene: Scene) => number | 'break';

const TO_REDIS: SystemOptions = { proxy: true };
const TO_WEB: SystemOptions = { webProxy: true };
const BOTH: SystemOptions = { proxy: true, webProxy: true };
/** The first retransmission timeout of Linux, ms, and after how many losses in a row a connection is given up here. */
const RETRANSMISSION_MS = 200;
const MAX_LOSSES = 5;

/** Every piece of data is lost with this probability, and so is each retransmission. */
const lossOf =
  (probability: number): Network =>
  ({ random }) => {
    let losses = 0;
    while (random.next() < probability) losses += 1;
    return losses >= MAX_LOSSES ? 'break' : RETRANSMISSION_MS * (2 ** losses - 1);
  };

/** Every piece of data is late by a time between two, ms. */
const latencyOf =
  (least: number, most: number): Network =>
  ({ random }) =>
    random.integer(least, most);

const disturbed =
  (network: Network, proxiesOf: (scene: Scene) => readonly (RedisProxy | null)[]): Fault['inject'] =>
  async (scene) => {
    const proxies = proxiesOf(scene);
    for (const proxy of proxies) proxy?.disturb(() => network(scene));
    return () => {
      for (const proxy of proxies) proxy?.disturb(null);
    };
  };
const redis = ({ system }: Scene) => [system.proxy];
const web = ({ system }: Scene) => [system.webProxy];
const both = ({ system }: Scene) => [system.proxy, system.webProxy];

/** Stalls, and connections that break more often than by losses alone. */
const stallsAndBreaks: Network = ({ random }) =>
  random.next() < 0.002 ? 'break' : random.next() < 0.05 ? 400 : 0;
/** A client learns nothing of what became of its request. */
const breaksOften: Network = ({ random }) => (random.next() < 0.05 ? 'break' : 0);

export const NETWORK_FAULTS: readonly Fault[] = [
  {
    name: 'latency of 100 ms to Redis',
    inject: disturbed(() => 100, redis),
    holdMs: 8000,
    system: TO_REDIS,
  },
  {
    name: 'loss: retransmissions and broken connections',
    inject: disturbed(stallsAndBreaks, redis),
    holdMs: 8000,
    system: TO_REDIS,
  },
  {
    name: 'network to Redis silent for 8 s',
    inject: disturbed(() => 8000, redis),
    holdMs: 1000,
    system: TO_REDIS,
  },
  {
    name: 'packet loss of 5 % to Redis',
    inject: disturbed(lossOf(0.05), redis),
    holdMs: 8000,
    system: TO_REDIS,
  },
  { name: 'packet loss of 10 % to web', inject: disturbed(lossOf(0.1), web), holdMs: 8000, system: TO_WEB },
  {
    name: 'connections of clients break, 5 % of all pieces of data',
    inject: disturbed(breaksOften, web),
    holdMs: 8000,
    system: TO_WEB,
  },
  {
    name: 'latency of 20 to 200 ms to Redis and to web',
    inject: disturbed(latencyOf(20, 200), both),
    holdMs: 8000,
    system: BOTH,
  },
];
