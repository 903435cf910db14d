/** docs/openapi.yaml, and whether an answer is as it says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly schema: Schema;
}

interface Media {
  readonly schema?: Schema;
}

interface Described {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, Media>>;
}

export interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Described;
  readonly responses: Readonly<Record<string, Described>>;
}

const document: {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
} = parse(readFileSync(join(import.meta.dirname, "../../../docs/openapi.yaml"), "utf8"));

export interface Endpoint {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

export const ENDPOINTS: readonly Endpoint[] = Object.entries(document.paths).flatMap(
  ([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
    })),
);

export function resolve<T extends { readonly $ref?: string }>(value: T): T {
  if (value.$ref === undefined) return value;
  let found: unknown = document;
  for (const part of value.$ref.slice(2).split("/")) {
    found = (found as Record<string, unknown>)[part];
  }
  if (found === undefined) throw new Error(`${value.$ref} is nowhere`);
  return found as T;
}

/** What is wrong with an answer, or nothing. @param type without its parameters */
export function problemsOf(
  { operation }: Endpoint,
  status: number,
  type: string | null,
  body: unknown,
): string[] {
  const response = operation.responses[String(status)] ?? operation.responses.default;
  if (!response) return [`status ${status} is not described`];
  const { content } = resolve(response);
  if (!content) return type === null ? [] : [`there is ${type}, and nothing should be`];
  const media = content[type ?? ""];
  if (!media) return [`${type} is not described for ${status}`];
  return media.schema ? mismatches(media.schema, body, "body") : [];
}

function mismatches(schema: Schema, value: unknown, at: string): string[] {
  const {
    enum: words,
    items,
    maxItems,
    maximum,
    minimum,
    minLength,
    oneOf,
    ...rest
  } = resolve(schema);
  if (oneOf) {
    const each = oneOf.map((one) => mismatches(one, value, at));
    return each.some(({ length }) => length === 0) ? [] : each.flat();
  }
  const { properties = {}, required = [], type } = rest;
  const types = type === undefined ? [] : [type].flat();
  if (types.length > 0 && !types.some((one) => isOf(one, value))) {
    return [`${at} is ${JSON.stringify(value)?.slice(0, 50)}, and not of ${types}`];
  }
  const problems: string[] = [];
  if (words && !words.includes(value)) problems.push(`${at} is none of ${words}: ${value}`);
  if (typeof value === "string" && value.length < (minLength ?? 0)) problems.push(`${at} is empty`);
  if (typeof value === "number") {
    const isOut = value < (minimum ?? -Infinity) || value > (maximum ?? Infinity);
    if (isOut) problems.push(`${at} is out of bounds: ${value}`);
  }
  if (Array.isArray(value)) {
    if (value.length > (maxItems ?? Infinity)) problems.push(`${at} has ${value.length} items`);
    if (items) {
      value.forEach((one, index) => {
        problems.push(...mismatches(items, one, `${at}[${index}]`));
      });
    }
  } else if (typeof value === "object" && value !== null) {
    const fields = value as Record<string, unknown>;
    for (const name of required) if (!(name in fields)) problems.push(`${at}.${name} is missing`);
    for (const [name, one] of Object.entries(properties)) {
      if (name in fields) problems.push(...mismatches(one, fields[name], `${at}.${name}`));
    }
  }
  return problems;
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
