import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type Surroundings, browser } from "../live/surroundings";
import { session, signOut, whyRefused } from "../session/session";
import { Refused } from "./ask";

const ASK_EVERY_MS = 60_000;

/** What is known of an answer. Data that is not fresh is that of before the last try failed. */
export interface Asked<Data> {
  data: Data | null;
  isFresh: boolean;
  error: Problem | null;
  at: Date | null;
}

interface Problem {
  code: string;
  detail: string;
}

export type Ask<Data> = (abort: AbortSignal) => Promise<Data>;

interface World extends Pick<Surroundings, "after"> {
  isHidden(): boolean;
  /** The token is not taken. */
  refused(): void;
}

/** An answer that is asked for again each minute while somebody looks. */
export class Resource<Data> {
  readonly asked: Signal<Asked<Data>> = signal({ data: null, isFresh: false, error: null, at: null });
  private abort: AbortController | undefined;
  private cancelTimer = () => {};
  private isDue = false;

  constructor(
    private readonly ask: Ask<Data>,
    private readonly world: World,
  ) {}

  /** Asks now, and from now on. A request that is still on its way is given up. */
  start(): void {
    this.stop();
    this.isDue = false;
    this.cancelTimer = this.world.after(ASK_EVERY_MS, () => {
      if (this.world.isHidden()) this.isDue = true;
      else this.start();
    });
    const abort = new AbortController();
    this.abort = abort;
    void this.answer(abort.signal);
  }

  stop(): void {
    this.cancelTimer();
    this.abort?.abort();
  }

  /** Somebody looks again. */
  wake(): void {
    if (this.isDue && !this.world.isHidden()) this.start();
  }

  private async answer(abort: AbortSignal): Promise<void> {
    try {
      const data = await this.ask(abort);
      if (!abort.aborted) this.asked.value = { data, isFresh: true, error: null, at: new Date() };
    } catch (error) {
      if (abort.aborted) return;
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) this.world.refused();
      const problem = error instanceof Refused ? error : { code: "network", detail: String(error) };
      this.asked.value = { ...this.asked.value, isFresh: false, error: { code: problem.code, detail: problem.detail } };
    }
  }
}

const page: World = { after: browser.after, isHidden: () => document.hidden, refused: () => void leaveIfRefused() };

async function leaveIfRefused(): Promise<void> {
  const current = session.peek();
  const why = current && (await whyRefused(current));
  if (why && session.peek() === current) signOut(why);
}

/** Asks while the component is there. `key` names what is asked: another one is another question. */
export function useAnswer<Data>(key: string, ask: Ask<Data>): Asked<Data> {
  const account = session.value?.claims.accountId;
  const resource = useMemo(() => new Resource(ask, page), [key, account]);
  useEffect(() => {
    const wake = () => resource.wake();
    resource.start();
    document.addEventListener("visibilitychange", wake);
    return () => {
      document.removeEventListener("visibilitychange", wake);
      resource.stop();
    };
  }, [resource]);
  return resource.asked.value;
}
