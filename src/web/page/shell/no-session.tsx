/** For who has no session, or none any more: how to get one. */
import type { ApiError } from "../api/client.js";
import { signIn } from "../state.js";

const TITLES: Readonly<Record<string, string>> = {
  link_expired: "This link has expired",
  link_used: "This link has been used",
  bad_secret: "This link is not valid",
  no_session: "You need a link to see this cluster",
  session_ended: "Your session has ended",
  signed_out: "You have signed out",
  unreachable: "ocluster-web does not answer",
};

export function NoSession({ error }: { error: ApiError }) {
  const isDown = error.status === 0 || error.status >= 500 || error.status === 429;
  return (
    <main class="gate" id="main">
      <h1>{TITLES[error.code] ?? "This page cannot be shown"}</h1>
      {error.code !== "no_session" && error.code !== "signed_out" && <p>{error.message}</p>}
      {isDown ? (
        <button type="button" class="primary" onClick={() => void signIn()}>
          Try again
        </button>
      ) : (
        <>
          <p>
            There are no accounts here: who runs <code>ocluster-web</code> gives out links. Each
            opens one browser for a while, and shows what its capability file may see.
          </p>
          <p>Ask for a new one. Whoever runs the program gets it with</p>
          <pre class="command">ocluster-web -c FILE.cap --link</pre>
        </>
      )}
    </main>
  );
}
