import { computed, signal } from "@preact/signals";
import { type Claims, type Refusal, readToken, tidied } from "./token";

const KEPT_AS = "analytics.token";

export interface Session {
  token: string;
  claims: Claims;
}

/** Who looks at the board. Another token of theirs takes the place of the one before without a new beginning. */
export const session = signal<Session | null>(null);
export const isSignedIn = computed(() => session.value !== null);

/** Why there is nobody, if there was an attempt. */
export const refusal = signal<Refusal | null>(null);
export const hasSignedOut = signal(false);

/** Who the address would have us sign in as, until somebody has said whether they want that. */
export const offeredByLink = signal<Session | null>(null);

/** Takes note of a token in the address. Whoever sent the link may not be whom one wants to be, so nothing is done with it yet. */
export function offerByLink(token: string): void {
  const offered = sessionOf(token);
  if (!("why" in offered)) offeredByLink.value = offered.token === session.peek()?.token ? null : offered;
  else if (!session.peek()) refusal.value = offered;
}

export function acceptLink(): void {
  const offered = offeredByLink.peek();
  declineLink();
  if (offered) signIn(offered.token);
}

export function declineLink(): void {
  offeredByLink.value = null;
}

export function signIn(pasted: string): void {
  signOut();
  hasSignedOut.value = false;
  const offered = sessionOf(pasted);
  if ("why" in offered) refusal.value = offered;
  else keep(offered);
}

/** Whoever has signed in before in this tab. */
export function signInAgain(): void {
  const kept = sessionStorage.getItem(KEPT_AS);
  if (kept && !isSignedIn.value) signIn(kept);
}

export function signOut(why: Refusal | null = null): void {
  sessionStorage.removeItem(KEPT_AS);
  session.value = null;
  refusal.value = why;
  hasSignedOut.value = why === null;
}

export function sessionOf(pasted: string): Session | Refusal {
  const token = tidied(pasted);
  const claims = readToken(token, new Date());
  return "why" in claims ? claims : { token, claims };
}

export function keep(offered: Session): void {
  sessionStorage.setItem(KEPT_AS, offered.token);
  session.value = offered;
}

/** The header of requests to the API. */
export const authorization = (asking = session.peek()) => ({ Authorization: `Bearer ${asking?.token}` });

/** Browsers do not say why a connection was refused. The API does, to the same token. */
export async function whyRefused(asking: Session): Promise<Refusal | null> {
  const { claims } = asking;
  if (claims.expiresAt <= new Date()) return { why: "expired", at: claims.expiresAt };
  try {
    const response = await fetch("api/metrics", { headers: authorization(asking) });
    if (response.status !== 401 && response.status !== 403) return null;
    const problem = (await response.json().catch(() => ({}))) as { detail?: string; title?: string };
    return { why: "server", detail: problem.detail ?? problem.title ?? String(response.status) };
  } catch {
    return null;
  }
}
