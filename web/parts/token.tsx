import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { setToken, token } from "../state/daemon.ts";
import { close } from "../state/dialogs.ts";

/** Takes the operator's token, for this tab and as long as it is open. */
export function Token(): JSX.Element {
  const [text, setText] = useState(token.value);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setToken(text.trim());
        close();
      }}
    >
      <label>
        One of the tokens of <code>http.token_file</code>
        <input
          type="password"
          autocomplete="off"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <p class="hint">It is kept for this tab only, and sent to this daemon only.</p>
      <div class="acts">
        <button
          type="button"
          onClick={() => {
            setToken("");
            close();
          }}
        >
          Forget
        </button>
        <button type="submit" class="main">
          Use
        </button>
      </div>
    </form>
  );
}
