import { page } from "../board/scope";
import { OnePage } from "../pages/ui/OnePage";
import { isSignedIn, offeredByLink } from "../session/session";
import { texts } from "../texts/language";
import { Board } from "./Board";
import { EvidenceDrawer } from "./EvidenceDrawer";
import { Header } from "./Header";
import { LinkOffer } from "./LinkOffer";
import { Pages } from "./Pages";
import { SignIn } from "./SignIn";

export function App() {
  if (offeredByLink.value) return <LinkOffer offered={offeredByLink.value} />;
  if (!isSignedIn.value) return <SignIn />;
  return (
    <>
      <a class="skip" href="#board" onClick={skipToBoard}>
        {texts.value.skip}
      </a>
      <Header />
      <Pages />
      {page.value === "overview" ? <Board /> : <OnePage of={page.value} />}
      <EvidenceDrawer />
    </>
  );
}

/** Not by the address, whose fragment says which campaign and period are shown. */
function skipToBoard(event: Event): void {
  event.preventDefault();
  document.getElementById("board")?.focus();
}
