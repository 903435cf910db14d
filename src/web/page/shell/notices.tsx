/** What was done last, or could not be. */
import { hush, notices } from "../state.js";
import { Icon } from "../ui/icons.js";

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, isError, text }) => (
        <div key={id} class={`notice tone-${isError ? "bad" : "good"}`}>
          <Icon name={isError ? "warning" : "succeeded"} />
          <p>{text}</p>
          <button type="button" class="quiet" aria-label="Hide" onClick={() => hush(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
