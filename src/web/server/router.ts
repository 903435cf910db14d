/** Which handler a path and a method are for. */
import { ApiError, badRequest } from "./errors.js";

export interface Found<H> {
  readonly handler: H;
  readonly params: Readonly<Record<string, string>>;
}

interface Route<H> {
  readonly pattern: readonly string[];
  readonly methods: Map<string, H>;
}

export class Router<H> {
  private readonly routes: Route<H>[] = [];

  /** @param pattern such as `/api/v1/jobs/:job`; a part with a colon is any, and has that name */
  on(method: string, pattern: string, handler: H): this {
    const parts = pattern.slice(1).split("/");
    let route = this.routes.find((one) => one.pattern.join("/") === parts.join("/"));
    if (!route) {
      route = { pattern: parts, methods: new Map() };
      this.routes.push(route);
    }
    route.methods.set(method, handler);
    return this;
  }

  /** Throws an `ApiError` if there is nothing at the path, or not with that method. */
  find(method: string, path: string): Found<H> {
    const parts = path.slice(1).split("/");
    for (const { methods, pattern } of this.routes) {
      if (!fits(pattern, parts)) continue;
      const handler = methods.get(method === "HEAD" ? "GET" : method);
      if (handler === undefined) {
        const allowed = [...methods.keys()].join(", ");
        throw new ApiError("method_not_allowed", `Use ${allowed} here.`, { Allow: allowed });
      }
      return { handler, params: paramsOf(pattern, parts) };
    }
    throw new ApiError("not_found", "There is nothing here: see /api/v1/openapi.yaml.");
  }
}

function fits(pattern: readonly string[], parts: readonly string[]): boolean {
  return (
    parts.length === pattern.length &&
    pattern.every((part, index) => part.startsWith(":") || part === parts[index])
  );
}

function paramsOf(pattern: readonly string[], parts: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    if (!part.startsWith(":")) continue;
    const value = decode(parts[index]!);
    if (value === "" || value.length > 1000) throw badRequest(`'${part.slice(1)}' is no name.`);
    params[part.slice(1)] = value;
  }
  return params;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badRequest("The path has a '%' that means nothing.");
  }
}
