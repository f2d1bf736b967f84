// The manifests for Kubernetes, without a cluster: whatever they name exists, in another manifest or in BioLayer.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../src/config.ts';
import { QUEUES } from '../src/queues/catalogue.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, 'deploy/kubernetes');
const READ_BY_THE_AWS_SDK = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];

type Labels = Record<string, string>;
interface Probe {
  httpGet: { path: string; port: string };
}
interface Container {
  name: string;
  image: string;
  args: [string, string];
  envFrom: Partial<Record<'configMapRef' | 'secretRef', { name: string }>>[];
  env: { name: string; value: string }[];
  ports: { name: string; containerPort: number }[];
  startupProbe: Probe;
  livenessProbe: Probe;
  readinessProbe: Probe;
  lifecycle?: { preStop: { exec: { command: [string, string] } } };
  volumeMounts: { name: string }[];
}
interface PodSpec {
  terminationGracePeriodSeconds: number;
  containers: [Container];
  volumes: { name: string; persistentVolumeClaim?: { claimName: string } }[];
  topologySpreadConstraints: [{ labelSelector: { matchLabels: Labels } }];
}
interface Manifest {
  kind: string;
  metadata: { name: string };
  stringData?: Record<string, string>;
  // Differs with the kind; each test names what it reads.
  // biome-ignore lint/suspicious/noExplicitAny: as above
  spec: any;
}
interface Kustomization {
  resources: string[];
  images: { name: string }[];
  configMapGenerator: { name: string; literals: string[] }[];
}

const read = (path: string) => readFileSync(join(FOLDER, path), 'utf8');
const manifestsIn = (path: string) =>
  parseAllDocuments(read(path)).map((one) => {
    expect(one.errors).toEqual([]);
    return one.toJS() as Manifest;
  });

const base = parse(read('base/kustomization.yaml')) as Kustomization;
const s3 = parse(read('s3/kustomization.yaml')) as Kustomization;
/** The manifests of a resource: a file, or a folder with its own kustomization. */
const manifestsOf = (path: string): Manifest[] =>
  path.endsWith('.yaml')
    ? manifestsIn(path)
    : (parse(read(`${path}/kustomization.yaml`)) as Kustomization).resources.flatMap((name) =>
        manifestsOf(join(path, name)),
      );
const manifests = base.resources.flatMap((name) => manifestsOf(`base/${name}`));
const secrets = manifestsIn('base/secret.example.yaml');
const ofKind = (kind: string) => manifests.filter((one) => one.kind === kind);
const pods = ofKind('Deployment').map(({ metadata, spec }) => {
  const { template } = spec as { template: { metadata: { labels: Labels }; spec: PodSpec } };
  return { name: metadata.name, labels: template.metadata.labels, spec: template.spec, deployment: spec };
});
const processes = pods.map((pod) => [pod.name, pod] as const);
const podOf = (name: string) => pods.find((pod) => pod.name === name);

/** `NAME=value` → its two parts. */
const literalsOf = ({ configMapGenerator }: Kustomization) =>
  configMapGenerator.flatMap(({ literals }) => literals.map((one) => one.split(/=(.*)/s).slice(0, 2)));

/** The environment of a process, with plausible secrets. */
function environmentOf({ spec }: (typeof pods)[number], ...changes: Kustomization[]): Record<string, string> {
  const [container] = spec.containers;
  const fromSecrets = container.envFrom.flatMap(({ secretRef }) =>
    Object.keys(secrets.find((one) => one.metadata.name === secretRef?.name)?.stringData ?? {}),
  );
  const plausible: Record<string, string> = {
    REDIS_URL: 'redis://redis:6379',
    SECRETS_KEY: Buffer.alloc(32, 7).toString('base64'),
    OPERATOR_TOKEN: 'a-token-of-an-operator',
  };
  return {
    ...Object.fromEntries([base, ...changes].flatMap(literalsOf)),
    ...Object.fromEntries(fromSecrets.map((name) => [name, plausible[name] ?? ''])),
    ...Object.fromEntries(container.env.map(({ name, value }) => [name, value])),
  };
}

describe('deploy/kubernetes', () => {
  it('has web and worker processes', () => {
    expect(pods.map(({ name }) => name)).toEqual(['biolayer-web', 'biolayer-worker']);
  });

  it('names resources that exist', () => {
    for (const [folder, { resources }] of Object.entries({ base, s3 }))
      for (const name of resources) expect(existsSync(join(FOLDER, folder, name)), name).toBe(true);
    expect(s3.resources).toEqual(['../base']);
  });

  it('sets only variables that are read, to valid values', () => {
    const names = new Set<string>(READ_BY_THE_AWS_SDK);
    loadConfig(new Proxy({}, { get: (_, name) => void names.add(String(name)) }), 'server');
    for (const pod of pods) {
      for (const env of [environmentOf(pod), environmentOf(pod, s3)]) {
        for (const name of Object.keys(env)) expect([...names]).toContain(name);
        loadConfig(env, pod.name === 'biolayer-web' ? 'web' : 'worker');
      }
    }
  });

  it('holds no secrets', () => {
    for (const { stringData = {} } of secrets)
      for (const value of Object.values(stringData)) expect(value).toContain('REPLACE');
    expect(base.resources).not.toContain('secret.example.yaml');
    expect(manifests.map(({ kind }) => kind)).not.toContain('Secret');
  });

  it.each(processes)('takes the environment of %s from what exists', (_name, { spec }) => {
    const configMaps = base.configMapGenerator.map(({ name }) => name);
    const known = [...configMaps, ...secrets.map(({ metadata }) => metadata.name)];
    for (const { configMapRef, secretRef } of spec.containers[0].envFrom)
      expect(known).toContain((configMapRef ?? secretRef)?.name);
  });

  it('gives the operator token only to web processes', () => {
    expect(podOf('biolayer-web')?.spec.containers[0].envFrom).toContainEqual({
      secretRef: { name: 'biolayer-operator' },
    });
    expect(JSON.stringify(podOf('biolayer-worker'))).not.toContain('biolayer-operator');
  });

  it.each(processes)(
    'starts %s from a file that is compiled, in the image of the Dockerfile',
    (_name, pod) => {
      const [{ image, args }] = pod.spec.containers;
      expect(base.images.map(({ name }) => name)).toContain(image);
      expect(existsSync(join(ROOT, args[1].replace(/^dist\/(.*)\.js$/, '$1.ts')))).toBe(true);
      expect(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')).toContain('ENTRYPOINT ["tini", "--"]');
    },
  );

  it.each(processes)('asks %s for its health where it answers', (_name, pod) => {
    const [container] = pod.spec.containers;
    const { port, metrics } = loadConfig(environmentOf(pod), pod.name === 'biolayer-web' ? 'web' : 'worker');
    const isWeb = pod.name === 'biolayer-web';
    expect(container.ports).toEqual([
      { name: isWeb ? 'http' : 'metrics', containerPort: isWeb ? port : metrics.port },
    ]);
    const file = isWeb ? 'src/api/ops/health.ts' : 'src/runtime/worker-status.ts';
    const source = readFileSync(join(ROOT, file), 'utf8');
    const { startupProbe, livenessProbe, readinessProbe } = container;
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path)).toEqual([
      '/livez',
      '/livez',
      '/readyz',
    ]);
    for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
      expect(httpGet.port).toBe(container.ports[0]?.name);
      expect(source).toContain(`'${httpGet.path}'`);
    }
  });

  it.each(processes)('gives %s the time that it needs to end', (_name, { spec }) => {
    const wait = Number(spec.containers[0].lifecycle?.preStop.exec.command[1] ?? 0);
    // docs/operations.md: within 25 s; 30 s before SIGKILL.
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(wait + 30);
  });

  it.each(processes)('limits the rights of %s', (_name, { spec }) => {
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          resources: { requests: expect.anything(), limits: { memory: '1Gi' } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    });
  });

  it.each(processes)('mounts only volumes that %s has', (_name, { spec }) => {
    const mounts = spec.containers[0].volumeMounts.map(({ name }) => name);
    expect(mounts.sort()).toEqual(spec.volumes.map(({ name }) => name).sort());
    const claims = ofKind('PersistentVolumeClaim').map(({ metadata }) => metadata.name);
    for (const { persistentVolumeClaim } of spec.volumes)
      if (persistentVolumeClaim) expect(claims).toContain(persistentVolumeClaim.claimName);
  });

  it.each(processes)(
    'selects the pods of %s everywhere by its labels',
    (name, { labels, spec, deployment }) => {
      const named = (kind: string) => ofKind(kind).find(({ metadata }) => metadata.name === name)?.spec;
      expect(deployment.selector.matchLabels).toEqual(labels);
      expect(spec.topologySpreadConstraints[0].labelSelector.matchLabels).toEqual(labels);
      expect(named('Service').selector).toEqual(labels);
      expect(named('PodDisruptionBudget').selector.matchLabels).toEqual(labels);
      expect(named('NetworkPolicy').podSelector.matchLabels).toEqual(labels);
      expect(named('HorizontalPodAutoscaler').scaleTargetRef).toMatchObject({ kind: 'Deployment', name });
      // Or each `kubectl apply` would undo what the autoscaler did.
      expect(deployment).not.toHaveProperty('replicas');
      const ports = spec.containers[0].ports.map((port) => port.name);
      for (const { targetPort } of named('Service').ports) expect(ports).toContain(targetPort);
      for (const rule of named('NetworkPolicy').ingress)
        for (const { port } of rule.ports) expect(ports).toContain(port);
    },
  );

  it('has a worker process for every queue where the kinds of processes differ', () => {
    const args = ['by-queue', 'by-queue/deliveries'].flatMap((folder) => {
      const { patches } = parse(read(`${folder}/kustomization.yaml`)) as {
        patches: { target: { kind: string }; patch: string }[];
      };
      const changes = patches
        .filter(({ target }) => target.kind === 'Deployment')
        .flatMap(({ patch }) => parse(patch) as { path: string; value: string[] }[]);
      return [changes.find(({ path }) => path.endsWith('/args'))?.value ?? []];
    });
    const taken = args.flatMap(([node, file, flag, queues = '']) => {
      expect([node, file, flag]).toEqual(['node', 'dist/src/worker.js', '--queues']);
      const { workerQueues } = loadConfig({ QUEUES: queues }, 'server');
      return [...(workerQueues?.keys() ?? [])];
    });
    expect(taken.sort()).toEqual([...QUEUES].sort());
  });

  it('scales worker processes by metrics that the adapter makes from those of BioLayer', () => {
    const { rules } = parse(read('prometheus-adapter.yaml')) as {
      rules: { external: { seriesQuery: string; name: { as: string }; metricsQuery: string }[] };
    };
    const worker = ofKind('HorizontalPodAutoscaler').find(
      ({ metadata }) => metadata.name === 'biolayer-worker',
    );
    const metrics: { external?: { metric: { name: string } } }[] = worker?.spec.metrics ?? [];
    const wanted = metrics.flatMap(({ external }) => external?.metric.name ?? []);
    expect(rules.external.map(({ name }) => name.as)).toEqual(wanted);
    const source = readFileSync(join(ROOT, 'src/api/ops/state-metrics.ts'), 'utf8');
    for (const { seriesQuery, metricsQuery } of rules.external) {
      expect(source).toContain(`'${seriesQuery}'`);
      expect(metricsQuery).toContain(seriesQuery);
      for (const state of /state=~"([^"]*)"/.exec(metricsQuery)?.[1]?.split('|') ?? [])
        expect(source).toContain(`'${state}'`);
    }
  });
});
