/**
 * What Kubernetes takes for an object of its API, by its published schemas
 * (test/autoscaler/fixtures). As its servers do with strict validation, what is not in a schema is
 * refused.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
}

const FILE = join(import.meta.dirname, "../autoscaler/fixtures/kubernetes-1.31.jsonl");

const SCHEMAS = new Map(
  readFileSync(FILE, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as [string, Schema]),
);

/** The names of schemas by an object's `apiVersion` and `kind`. */
const KINDS: Readonly<Record<string, string>> = {
  "batch/v1 Job": "io.k8s.api.batch.v1.Job",
  "apps/v1 Deployment": "io.k8s.api.apps.v1.Deployment",
  "v1 ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
  "v1 DeleteOptions": "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
  "rbac.authorization.k8s.io/v1 Role": "io.k8s.api.rbac.v1.Role",
  "rbac.authorization.k8s.io/v1 RoleBinding": "io.k8s.api.rbac.v1.RoleBinding",
};

/** What is wrong with an object, with the places; empty if nothing is. */
export function problemsOfObject(object: unknown): string[] {
  const { apiVersion, kind } = object as { readonly apiVersion?: string; readonly kind?: string };
  const name = KINDS[`${apiVersion} ${kind}`];
  if (name === undefined) return [`there is no schema of ${apiVersion} ${kind}`];
  return problems(object, { $ref: name }, kind!);
}

function problems(value: unknown, schema: Schema, path: string): string[] {
  if (schema.$ref !== undefined) return problems(value, SCHEMAS.get(schema.$ref)!, path);
  if (schema.oneOf) {
    const fits = schema.oneOf.some((each) => problems(value, each, path).length === 0);
    return fits ? [] : [`${path}: fits none of what it may be`];
  }
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => isOf(type, value))) {
    return [`${path}: ${JSON.stringify(value)} is no ${types.join(" or ")}`];
  }
  if (schema.enum && !schema.enum.includes(value)) return [`${path}: not ${schema.enum}`];
  if (Array.isArray(value)) {
    return value.flatMap((each, i) => problems(each, schema.items ?? {}, `${path}[${i}]`));
  }
  if (typeof value !== "object" || value === null) return [];
  const { additionalProperties, properties = {}, required = [] } = schema;
  const isOpen = additionalProperties === undefined && schema.properties === undefined;
  const missing = required.filter((key) => !Object.hasOwn(value, key));
  return [
    ...missing.map((key) => `${path}.${key} is missing`),
    ...Object.entries(value).flatMap(([key, each]) => {
      const known = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
      if (known) return problems(each, known, `${path}.${key}`);
      return isOpen ? [] : [`${path}.${key}: there is no such field`];
    }),
  ];
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
