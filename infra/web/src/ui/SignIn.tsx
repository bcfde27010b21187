import { useState } from "preact/hooks";
import { hasSignedOut, refusal, signIn } from "../session/session";
import type { Refusal } from "../session/token";
import { formats, texts } from "../texts/language";
import { Brand } from "./Brand";
import { Preferences } from "./Preferences";

export function SignIn() {
  const say = texts.value.signIn;
  const [pasted, setPasted] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    signIn(pasted);
  };
  return (
    <main class="sign-in">
      <form class="sign-in__card" onSubmit={submit} data-testid="signin">
        <Brand />
        <h2>{say.title}</h2>
        <p class="sign-in__intro" id="token-intro">
          {say.intro} <code>make token</code> {say.introEnd}
        </p>
        <label for="token">{say.label}</label>
        <textarea
          id="token"
          data-testid="token"
          rows={4}
          required
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          placeholder="eyJ…"
          value={pasted}
          aria-invalid={refusal.value !== null}
          aria-describedby="token-intro token-error"
          onInput={(event) => setPasted(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") submit(event);
          }}
        />
        <p id="token-error" class="sign-in__error" role="alert" data-testid="signin-error">
          {refusal.value ? refusalText(refusal.value) : null}
        </p>
        <button type="submit" class="button button--primary">
          {say.submit}
        </button>
        <p class="sign-in__note">{hasSignedOut.value ? say.signedOut : say.stays}</p>
      </form>
      <Preferences />
    </main>
  );
}

export function refusalText(refused: Refusal): string {
  const say = texts.value.signIn;
  switch (refused.why) {
    case "not_a_token":
      return say.not_a_token;
    case "expired":
      return say.expired(formats.value.full(refused.at));
    case "role":
      return say.role(refused.role);
    case "server":
      return say.server(refused.detail);
  }
}
