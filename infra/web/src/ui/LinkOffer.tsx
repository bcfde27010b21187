import { useEffect, useRef } from "preact/hooks";
import { type Session, acceptLink, declineLink, session } from "../session/session";
import { texts } from "../texts/language";
import { Brand } from "./Brand";
import { Preferences } from "./Preferences";

/** Asks before a token of a link is used: it decides whose numbers are shown. */
export function LinkOffer({ offered }: { offered: Session }) {
  const { link: say, account } = texts.value;
  const { accountId, role } = offered.claims;
  const accept = useRef<HTMLButtonElement>(null);
  useEffect(() => accept.current?.focus(), []);
  const current = session.value?.claims.accountId;
  return (
    <main class="sign-in">
      <section class="sign-in__card" aria-labelledby="link-title" aria-describedby="link-trust" data-testid="link-offer">
        <Brand />
        <h2 id="link-title">{say.title}</h2>
        <p class="sign-in__intro">{say.about}</p>
        <dl class="sign-in__who">
          <dt>{say.account}</dt>
          <dd data-testid="link-account">
            <bdi>{accountId}</bdi>
          </dd>
          <dt>{say.role}</dt>
          <dd data-testid="link-role">{account.roles.get(role) ?? role}</dd>
        </dl>
        <p class="sign-in__note" id="link-trust">
          {say.trust}
        </p>
        <button ref={accept} type="button" class="button button--primary" data-testid="link-accept" onClick={acceptLink}>
          {say.accept}
        </button>
        <button type="button" class="button" data-testid="link-decline" onClick={declineLink}>
          {current === undefined ? say.decline : say.stay(current)}
        </button>
      </section>
      <Preferences />
    </main>
  );
}
