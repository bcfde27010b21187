import { phase } from "../board/board";
import { Chart } from "./Chart";
import { Funnel } from "./Funnel";
import { Groups } from "./Groups";
import { AlertStrip, Expiring, NotLive } from "./Notices";
import { Senders } from "./Senders";
import { Ticker } from "./Ticker";
import { Tiles } from "./Tiles";

export function Board() {
  return (
    <main id="board" class="board" tabIndex={-1} data-live={phase.value === "live"}>
      <NotLive />
      <AlertStrip />
      <Expiring />
      <Tiles />
      <div class="panels">
        <Chart />
        <Funnel />
        <Groups />
        <Senders />
        <Ticker />
      </div>
    </main>
  );
}
