// The script of `/docs`, which starts Swagger UI.

/** What Swagger UI's `resolveSubtree` returns. */
interface Resolved {
  spec: unknown;
  errors: [];
}

/**
 * The part of an OpenAPI document at a path, with what its references mean in their places. Takes the place of Swagger UI's own
 * function, which copies the whole document several times whenever someone opens an operation: seconds each time. Depends on
 * what `openApi` generates: references lead to components of the same document and never in a circle, and operations
 * inherit nothing from their path or the document.
 * Runs in the browser from its text, so it uses nothing outside itself.
 */
export async function resolveSubtree(document: unknown, path: readonly string[]): Promise<Resolved> {
  const member = (value: unknown, name: string): unknown => (value as Record<string, unknown>)?.[name];
  const resolved = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolved);
    if (typeof value !== 'object' || value === null) return value;
    const own = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, resolved(inner)]));
    const { $ref, ...rest } = own;
    // An example may have a member `$ref` that is no reference.
    if (typeof $ref !== 'string' || !$ref.startsWith('#/components/')) return own;
    // Swagger UI names a schema by `$$ref`.
    return {
      ...(resolved($ref.slice(2).split('/').reduce(member, document)) as object),
      ...rest,
      $$ref: $ref,
    };
  };
  return { spec: resolved(path.reduce(member, document)), errors: [] };
}

/** The document is read from this server only, and no validator of another origin is asked. */
export const REFERENCE_SCRIPT = `const own = {
  fn: { resolveSubtree: ${resolveSubtree} },
  statePlugins: {
    spec: {
      wrapActions: {
        // Swagger UI would read the document as YAML, which takes ten times as long.
        parseToJson: (_, { specActions }) => (text) => specActions.updateJsonSpec(JSON.parse(text)),
      },
    },
  },
};
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  plugins: [own],
  oauth2RedirectUrl: location.origin + '/docs/oauth2-redirect.html',
  validatorUrl: null,
  deepLinking: true,
  docExpansion: 'list',
  filter: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  requestSnippetsEnabled: true,
});
`;
