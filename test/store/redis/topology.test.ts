// URLs of Redis: which are read, and what a fault says.
import { describe, expect, it } from 'vitest';
import { describeTopology, readTopology } from '../../../src/store/redis/topology.ts';

describe('a URL of sentinels', () => {
  it('names them, the group, credentials and database', () => {
    const url = 'redis+sentinel://us%40er:p%3Aa%2Fss@a.example:1,b,[::1]:3/my%20master?db=2';
    expect(readTopology(url, { sentinelUsername: 'watch', sentinelPassword: 'guard' })).toEqual({
      kind: 'sentinel',
      name: 'my master',
      sentinels: [
        { host: 'a.example', port: 1 },
        { host: 'b', port: 26_379 },
        { host: '::1', port: 3 },
      ],
      username: 'us@er',
      password: 'p:a/ss',
      db: 2,
      tls: undefined,
      sentinelUsername: 'watch',
      sentinelPassword: 'guard',
    });
    expect(describeTopology(readTopology(url))).toBe(
      'my master of the sentinels a.example:1, b:26379, [::1]:3',
    );
  });

  it('may have no credentials, or a password alone', () => {
    expect(readTopology('redis+sentinel://a/g')).toMatchObject({
      username: undefined,
      password: undefined,
      db: 0,
    });
    expect(readTopology('redis+sentinel://:x@a/g')).toMatchObject({ username: undefined, password: 'x' });
  });

  it.each([
    ['redis+sentinel://a:1', 'must name sentinels and their group'],
    ['redis+sentinel://a:1/', 'must name sentinels and their group'],
    ['redis+sentinel:///g', 'must name sentinels and their group'],
    ['redis+sentinel://hunter2@a,,b/g', 'must name sentinels and their group'],
    ['redis+sentinel://:hunter2@a:70000/g', 'must name sentinels and their group'],
    ['redis+sentinel://:hunter2@a:x/g', 'must name sentinels and their group'],
    ['redis+sentinel://:hunter2@a/g?db=x', 'may have only a number as db'],
    ['redis+sentinel://:hunter2@a/g?password=x', 'may have no parameter other than db'],
    ['redis+sentinel://:hunter2%@a/g', 'has a % that is not followed by two hexadecimal digits'],
    ['redis+cluster://:hunter2@a,,b', 'must name nodes of the cluster'],
    ['redis+cluster://', 'must name nodes of the cluster'],
    ['redis+cluster://:hunter2@a/1', 'may have neither a path nor parameters'],
    ['redis+cluster://:hunter2@a?db=1', 'may have neither a path nor parameters'],
    ['redis+other://a/g', 'must be a redis://, redis+sentinel:// or redis+cluster:// URL'],
  ])('%s is refused', (url, fault) => {
    const message = (() => {
      try {
        return JSON.stringify(readTopology(url));
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(message).toMatch(fault);
    expect(message).not.toContain('hunter2');
  });
});

it('a URL of a cluster names some of its nodes and the credentials', () => {
  const topology = readTopology('redis+cluster://us%40er:p%3Aa%2Fss@a.example:1,b,[::1]:3');
  expect(topology).toEqual({
    kind: 'cluster',
    nodes: [
      { host: 'a.example', port: 1 },
      { host: 'b', port: 6379 },
      { host: '::1', port: 3 },
    ],
    username: 'us@er',
    password: 'p:a/ss',
    tls: undefined,
  });
  expect(describeTopology(topology)).toBe('the cluster of a.example:1, b:6379, [::1]:3');
});

it('the scheme decides about TLS', () => {
  const tls = { ca: 'CA' };
  for (const url of ['redis://h', 'redis+sentinel://h/g', 'redis+cluster://h'])
    expect(readTopology(url, { tls }).tls).toBeUndefined();
  for (const url of ['rediss://h', 'rediss+sentinel://h/g', 'rediss+cluster://h']) {
    expect(readTopology(url, { tls }).tls).toEqual(tls);
    expect(readTopology(url).tls).toEqual({});
  }
});

it('one server is described without its credentials', () => {
  expect(describeTopology(readTopology('redis://user:hunter2@h/2'))).toBe('h:6379');
});
