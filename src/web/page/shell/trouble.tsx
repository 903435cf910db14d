/** What keeps the page from being true at the moment. */
import { live, scheduler } from "../state.js";
import { Moment } from "../ui/basics.js";
import { Icon } from "../ui/icons.js";

export function Trouble() {
  const state = scheduler.value;
  if (live.state.value === "waiting") {
    return (
      <div class="trouble tone-warn" role="status">
        <Icon name="warning" />
        <p>
          <strong>ocluster-web does not answer.</strong> What you see is from before. It is asked
          again by itself; if that takes long, start it again and open its new link.
        </p>
      </div>
    );
  }
  if (state?.state !== "down") return null;
  return (
    <div class="trouble tone-bad" role="status">
      <Icon name="warning" />
      <p>
        <strong>The scheduler does not answer</strong> (<Moment at={state.since} />
        {state.message && `: ${state.message}`}). What you see is from before. Jobs that are durable
        go on, and this page does when it is back.
      </p>
    </div>
  );
}
