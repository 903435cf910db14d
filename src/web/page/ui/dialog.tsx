/** A question before something is done that others notice. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { ApiError } from "../api/client.js";
import { say } from "../state.js";

export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog ref={element} aria-labelledby={id} onClose={onClose} class="dialog">
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/** A button that asks before it does something. */
export function Ask({
  label,
  title,
  children,
  confirm,
  act,
  done,
  danger = false,
}: {
  /** Of the button. */
  label: string;
  /** The question. */
  title: string;
  /** What follows from it. */
  children: ComponentChildren;
  /** The answer that has it done. */
  confirm: string;
  act: () => Promise<unknown>;
  /** What is said when it is. */
  done: string;
  danger?: boolean;
}) {
  const open = useSignal(false);
  const busy = useSignal(false);
  const close = () => {
    open.value = false;
  };
  const run = async () => {
    busy.value = true;
    try {
      await act();
      say(done);
    } catch (error) {
      say((error as ApiError).message, true);
    } finally {
      busy.value = false;
      close();
    }
  };
  return (
    <>
      <button
        type="button"
        class={danger ? "danger" : ""}
        onClick={() => {
          open.value = true;
        }}
      >
        {label}
      </button>
      {open.value && (
        <Dialog title={title} onClose={close}>
          <div class="dialog-body">{children}</div>
          <div class="dialog-actions">
            <button type="button" onClick={close}>
              No, leave it
            </button>
            <button
              type="button"
              class={danger ? "primary danger" : "primary"}
              disabled={busy.value}
              onClick={() => void run()}
            >
              {confirm}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
