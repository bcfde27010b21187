import { effect, signal, untracked } from "@preact/signals";
import type { Frame, LiveEvent, Question } from "../live/frames";
import { Live } from "../live/live";
import { browser } from "../live/surroundings";
import { type Session, authorization, isSignedIn, keep, session, sessionOf, signOut, whyRefused } from "../session/session";
import type { Refusal } from "../session/token";
import type { Answer } from "./answers";
import { clearBoard, showAhead, showFrame, showFresh, showPhase, showStored, streamsFor } from "./board";
import { EVENTS_STREAM } from "./questions";
import { campaign, period, timezone } from "./scope";
import { KEPT_EVENTS } from "./ticker";

/** When the token ends, if that is soon. */
export const expiring = signal<Date | null>(null);
export const renewalError = signal<Refusal | null>(null);

/** What takes longer is not ahead of anything. */
const AHEAD_WITHIN_MS = 2_000;
/** By then, whoever sends knows that somebody watches, and what was sent before is stored. */
const BEGUN_AFTER_MS = 5_000;

let live: Live | undefined;
let offered: Session | undefined;

export const retryNow = () => live?.retryNow();

/** Watches for whoever is signed in, until they are not. */
export function watch(address: string): void {
  effect(() => {
    if (!isSignedIn.value) return;
    return untracked(() => open(address));
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) live?.wake();
  });
  window.addEventListener("online", () => live?.wake());
}

/** Offers another token to the server, if it can be one. */
export function offer(pasted: string): void {
  const next = sessionOf(pasted);
  renewalError.value = "why" in next ? next : null;
  if ("why" in next) return;
  offered = next;
  live?.offerToken(next.token);
}

function open(address: string): () => void {
  const fresh = (stream: string) => {
    showFresh(stream);
    if (stream !== EVENTS_STREAM) return;
    void askStored(watching);
    setTimeout(() => void askStored(watching), BEGUN_AFTER_MS);
  };
  const listener = { phase: showPhase, fresh, refused: () => void askWhy(watching), frame: hear };
  const watching = new Live(browser, listener, address, session.peek()?.token ?? "");
  live = watching;
  watching.start();
  const scope = () => ({ campaign: campaign.value, period: period.value, timezone });
  let stopFollowing = () => {};
  // The first numbers do not wait for the connection, nor for all the others.
  void askAhead(streamsFor(scope())[0]).finally(() => {
    if (live === watching) stopFollowing = effect(() => watching.follow(streamsFor(scope())));
  });
  return () => {
    stopFollowing();
    watching.stop();
    live = offered = undefined;
    expiring.value = renewalError.value = null;
    clearBoard();
  };
}

/** Shows what the first tiles are about. */
async function askAhead(first: Question | undefined): Promise<void> {
  if (!first) return;
  const { stream, ...question } = first;
  const headers = { ...authorization(), "Content-Type": "application/json" };
  try {
    const limit = AbortSignal.timeout(AHEAD_WITHIN_MS);
    const body = JSON.stringify(question);
    const response = await fetch("api/query", { method: "POST", headers, body, signal: limit });
    if (response.ok) showAhead(stream, ((await response.json()) as { results: Answer[] }).results);
  } catch {
    // The connection will tell what is wrong.
  }
}

/** Shows the latest events that came without the stream. */
async function askStored(asking: Live): Promise<void> {
  if (live !== asking) return;
  const ofCampaign = campaign.peek();
  const parameters = new URLSearchParams({ limit: String(KEPT_EVENTS) });
  if (ofCampaign) parameters.set("property.campaignId", ofCampaign);
  try {
    const response = await fetch(`api/events/search?${parameters}`, { headers: authorization() });
    if (response.ok) showStored(ofCampaign, ((await response.json()) as { events: LiveEvent[] }).events);
  } catch {
    // They are not needed.
  }
}

function hear(frame: Frame): void {
  if ("stream" in frame && frame.stream !== undefined) showFrame(frame, performance.now());
  else if (frame.type === "token_expiring") expiring.value = new Date(frame.tokenExpiresAt);
  else if (frame.type === "authenticated") takeOffered();
  else if (frame.type === "error") hearError(frame.code, frame.detail);
}

function takeOffered(): void {
  if (offered) keep(offered);
  expiring.value = renewalError.value = null;
}

function hearError(code: string, detail: string): void {
  const current = session.peek();
  if (code === "token_expired" && current) signOut({ why: "expired", at: current.claims.expiresAt });
  else if (expiring.value) renewalError.value = { why: "server", detail };
}

async function askWhy(asking: Live): Promise<void> {
  const current = session.peek();
  const why = current && (await whyRefused(current));
  if (why && live === asking) signOut(why);
}
