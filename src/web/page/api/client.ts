/** Requests to the server: JSON there and back, and errors in its words. */

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** Of HTTP; 0: there was no answer. */
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const API = "/api/v1/";

/** The URL of something below the API: `jobs/17/log/raw`. */
export function apiUrl(path: string, query: Readonly<Record<string, Value>> = {}): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") words.set(name, String(value));
  }
  const text = words.toString();
  return `${API}${path}${text && `?${text}`}`;
}

type Value = string | number | boolean | null | undefined;

/** Throws an `ApiError`, or the signal's reason. */
export async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  return await request<T>(url, { ...(signal && { signal }) });
}

/** Throws an `ApiError`. */
export async function send<T>(
  method: "POST" | "DELETE",
  path: string,
  body: object = {},
): Promise<T> {
  return await request<T>(API + path, {
    method,
    headers: { "Content-Type": "application/json", "X-OCluster-Web": "1" },
    body: JSON.stringify(body),
  });
}

async function request<T>(url: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, credentials: "same-origin" });
  } catch (error) {
    init.signal?.throwIfAborted();
    throw new ApiError(0, "unreachable", `ocluster-web does not answer (${String(error)})`);
  }
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
  throw await failureOf(response);
}

async function failureOf(response: Response): Promise<ApiError> {
  const { status } = response;
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    return new ApiError(status, error.code, error.message);
  } catch {
    return new ApiError(status, "internal", `The server answered with status ${status}`);
  }
}
