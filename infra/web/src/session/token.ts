export interface Claims {
  accountId: string;
  role: string;
  expiresAt: Date;
}

export type Refusal =
  | { why: "not_a_token" }
  | { why: "expired"; at: Date }
  | { why: "role"; role: string }
  | { why: "server"; detail: string };

const READERS = ["viewer", "analyst", "admin"];

/** What a token says of itself. Only the server can tell whether it is true. */
export function readToken(token: string, now: Date): Claims | Refusal {
  const claims = payloadOf(token);
  if (!claims || typeof claims.accountId !== "string" || typeof claims.role !== "string" || typeof claims.exp !== "number") {
    return { why: "not_a_token" };
  }
  const expiresAt = new Date(claims.exp * 1000);
  if (expiresAt <= now) return { why: "expired", at: expiresAt };
  if (!READERS.includes(claims.role)) return { why: "role", role: claims.role };
  return { accountId: claims.accountId, role: claims.role, expiresAt };
}

/** People paste what they have: with line breaks, or as it stood in a header. */
export function tidied(pasted: string): string {
  return pasted.trim().replace(/^(authorization:\s*)?bearer\s+/i, "").replace(/\s+/g, "");
}

function payloadOf(token: string): Record<string, unknown> | null {
  const [, payload, ...others] = token.split(".");
  if (!payload || others.length !== 1) return null;
  try {
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
