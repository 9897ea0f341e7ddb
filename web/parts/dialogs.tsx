import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { attempt } from "../actions.ts";
import type { Dialog } from "../state/dialogs.ts";
import { close, dialog, notice } from "../state/dialogs.ts";
import { Limits } from "./limits.tsx";
import { Logs } from "./logs.tsx";
import { RunSheet } from "./run-sheet.tsx";
import { Token } from "./token.tsx";

export function Dialogs(): JSX.Element {
  const open = dialog.value;
  const said = notice.value;
  return (
    <>
      {open !== undefined && <Open open={open} />}
      <p
        class={`notice${said === undefined ? "" : " seen"}${said?.isBad === true ? " bad" : ""}`}
        role="status"
      >
        {said?.text}
      </p>
    </>
  );
}

function Open({ open }: { readonly open: Dialog }): JSX.Element {
  switch (open.type) {
    case "confirm":
      return <Confirm open={open} />;
    case "logs":
      return (
        <Sheet title={`Output of ${open.title}`} isWide>
          <Logs key={open.sandboxId} sandboxId={open.sandboxId} />
        </Sheet>
      );
    case "run":
      return (
        <Sheet title={`Run of ${open.run.image}`} isWide>
          <RunSheet run={open.run} />
        </Sheet>
      );
    case "limits":
      return (
        <Sheet title="Limits">
          <Limits />
        </Sheet>
      );
    case "token":
      return (
        <Sheet title="Token">
          <Token />
        </Sheet>
      );
  }
}

function Confirm({ open }: { readonly open: Extract<Dialog, { type: "confirm" }> }): JSX.Element {
  return (
    <Sheet title={open.title}>
      <p>{open.text}</p>
      <div class="acts">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button
          type="button"
          class="main"
          onClick={() => {
            close();
            attempt(() => open.act());
          }}
        >
          {open.verb}
        </button>
      </div>
    </Sheet>
  );
}

/** The platform's own dialog: it keeps the focus, ends with Escape, and gives the focus back. */
function Sheet({
  title,
  isWide = false,
  children,
}: {
  readonly title: string;
  readonly isWide?: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    box.current?.showModal();
  }, []);
  return (
    <dialog ref={box} class={isWide ? "wide" : ""} aria-label={title} onClose={close}>
      <header>
        <h2>{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={close}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}
