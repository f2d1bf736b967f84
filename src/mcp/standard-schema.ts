// The schemas of the tools in the form that the protocol library takes (Standard Schema), with errors by JSON pointer.

import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import type { Static, TSchema } from 'typebox';
import { childPointer, report } from '../output-schema/problem.ts';

// Patterns of the tools' own schemas only; the formats are descriptions, and the API checks them.
const ajv = new Ajv2020({ allErrors: true, validateFormats: false, strict: true, allowUnionTypes: true });

/** The schema with its check. Each error names the field: `/sla/urgency: must be one of low, normal, high, critical`. */
export function standardSchema<Schema extends TSchema>(
  schema: Schema,
): StandardSchemaWithJSON<Static<Schema>, Static<Schema>> {
  const isValid = ajv.compile<Static<Schema>>(schema);
  const json = { ...schema } as Record<string, unknown>;
  return {
    '~standard': {
      version: 1,
      vendor: 'biolayer',
      validate: (value) =>
        isValid(value)
          ? { value }
          : {
              issues: report((isValid.errors ?? []).map(problemOf)).map(({ pointer, message }) => ({
                message: `${pointer || '/'}: ${message}`,
              })),
            },
      jsonSchema: { input: () => json, output: () => json },
    },
  };
}

function problemOf({ keyword, instancePath, params, message }: ErrorObject) {
  switch (keyword) {
    case 'required':
      return { pointer: childPointer(instancePath, String(params.missingProperty)), message: 'is required' };
    case 'additionalProperties':
      return {
        pointer: childPointer(instancePath, String(params.additionalProperty)),
        message: 'is not a known argument',
      };
    case 'enum':
      return {
        pointer: instancePath,
        message: `must be one of ${(params.allowedValues as unknown[]).join(', ')}`,
      };
    default:
      return { pointer: instancePath, message: message ?? 'is not valid' };
  }
}
