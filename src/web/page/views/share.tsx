/** A link for a colleague: to one job or batch, which it shows and cannot change, for some days. */
import { useSignal } from "@preact/signals";
import { type ApiError, send } from "../api/client.js";
import { say } from "../state.js";
import { Copy, Moment } from "../ui/basics.js";
import { Dialog } from "../ui/dialog.js";
import { Icon } from "../ui/icons.js";

interface SharedLink {
  readonly url: string;
  readonly expires: string;
}

const DAYS = [
  ["1d", "a day"],
  ["7d", "a week"],
  ["30d", "30 days"],
] as const;

export function Share({ what, name }: { what: { job: number } | { batch: number }; name: string }) {
  const open = useSignal(false);
  const expires = useSignal<string>("7d");
  const link = useSignal<SharedLink | null>(null);
  const close = () => {
    open.value = false;
    link.value = null;
  };
  const make = async () => {
    try {
      link.value = await send<SharedLink>("POST", "links", { ...what, expires: expires.value });
    } catch (error) {
      say((error as ApiError).message, true);
    }
  };
  return (
    <>
      <button
        type="button"
        onClick={() => {
          open.value = true;
        }}
      >
        <Icon name="link" /> Share
      </button>
      {open.value && (
        <Dialog title={`A link to ${name}`} onClose={close}>
          <div class="dialog-body">
            {link.value === null ? (
              <>
                <p>Whoever has it can see {name}, and nothing else, and change nothing.</p>
                <label class="field">
                  <span>Valid for</span>
                  <select
                    value={expires.value}
                    onChange={(event) => {
                      expires.value = event.currentTarget.value;
                    }}
                  >
                    {DAYS.map(([value, text]) => (
                      <option key={value} value={value}>
                        {text}
                      </option>
                    ))}
                  </select>
                </label>
              </>
            ) : (
              <>
                <p>
                  It ends <Moment at={link.value.expires} />. It is shown once, here:
                </p>
                <pre class="command shared-link">{link.value.url}</pre>
                <Copy text={link.value.url} label="Copy the link" />
              </>
            )}
          </div>
          <div class="dialog-actions">
            <button type="button" onClick={close}>
              Close
            </button>
            {link.value === null && (
              <button type="button" class="primary" onClick={() => void make()}>
                Make the link
              </button>
            )}
          </div>
        </Dialog>
      )}
    </>
  );
}
