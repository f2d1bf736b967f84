// Shards of the queues. Each shard has all queues of the catalogue, for the orgs of its partitions, under a hash tag of its
// own, so that the shards of a Redis Cluster are on different nodes. Their number is `QUEUE_SHARDS`.

import type { Redis } from 'ioredis';
import { HASHED_PARTITIONS, PARTITIONS, partitionOf } from '../store/redis/keys.ts';

/** Most shards: each has at least one of the partitions that orgs of all releases are in. */
export const MAX_SHARDS = HASHED_PARTITIONS;

const INDEX_OF_PARTITION = new Map(PARTITIONS.map((partition, index) => [partition, index]));

/** The shard of a partition: its index modulo the number of shards. */
export function shardOfPartition(partition: string, shards: number): number {
  return (INDEX_OF_PARTITION.get(partition) ?? 0) % shards;
}

/** The shard with the jobs of an org and its sandbox. */
export function shardOfOrg(orgId: string, shards: number): number {
  return shardOfPartition(partitionOf(orgId), shards);
}

/** The partitions of some of the shards. */
export function partitionsOf(chosen: readonly number[], shards: number): string[] {
  return PARTITIONS.filter((partition) => chosen.includes(shardOfPartition(partition, shards)));
}

/** The numbers of all shards. */
export function allShards(shards: number): number[] {
  return Array.from({ length: shards }, (_, shard) => shard);
}

/**
 * Prefix of BullMQ's keys in a shard. The braces keep its queues in one slot of a cluster. Shard 0 has the prefix that all
 * queues had before there were shards.
 */
export function queuePrefix(prefix: string, shard: number): string {
  return shard === 0 ? `{${prefix}-queues}` : `{${prefix}-queues-${shard}}`;
}

/** The connection to the server that has a shard. */
export type ShardConnections = (shard: number) => Redis;
