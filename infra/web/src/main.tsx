import "uplot/dist/uPlot.min.css";
import "./styles/app.css";
import { render } from "preact";
import { goToAddress } from "./board/scope";
import { watch } from "./board/watch";
import { signInAgain } from "./session/session";
import { App } from "./ui/App";

const address = document.querySelector<HTMLMetaElement>('meta[name="live-url"]')?.content ?? "";

signInAgain();
goToAddress();
window.addEventListener("hashchange", goToAddress);
// The connection first: it opens while the page is drawn.
watch(address);
render(<App />, document.getElementById("app") as HTMLElement);
