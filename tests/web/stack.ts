// The running stack, as the tests see it.
import { createPrivateKey, randomBytes, sign } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import type { Page } from "@playwright/test";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`make test\``);
  return value;
}

/** A token of the stack's key, valid for an hour unless the claims say otherwise. */
export function token(claims: Record<string, unknown>): string {
  const { kid } = JSON.parse(setting("JWT_KEYS")).keys[0];
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  const all = { iss: setting("JWT_ISSUER"), aud: setting("JWT_AUDIENCE"), exp, ...claims };
  const signed = `${part({ alg: "ES256", typ: "JWT", kid })}.${part(all)}`;
  const key = createPrivateKey(readFileSync(setting("SIGNING_KEY")));
  return `${signed}.${sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

export interface Event {
  eventName: string;
  eventId?: string;
  timestamp?: number;
  userId?: string;
  properties?: Record<string, unknown>;
}

/** The page, signed in by a link as somebody who may read. */
export async function visit(page: Page, account: Account): Promise<void> {
  await page.goto(account.page);
  await page.getByTestId("link-accept").click();
}

/** An account that no other test uses. */
export class Account {
  readonly id: string;

  constructor(name: string) {
    this.id = `${name}-${randomBytes(4).toString("hex")}`;
  }

  token(role: string, more: object = {}): string {
    return token({ accountId: this.id, role, ...more });
  }

  /** A link to the page with a token of somebody who may read. */
  get page(): string {
    return `${setting("API_URL")}/#token=${this.token("viewer")}`;
  }

  async send(events: Event[]): Promise<void> {
    await this.call("ingest", "/api/events/batch", { events });
  }

  /** Answers of `POST /api/query`. */
  async query(question: object): Promise<{ series: { key?: Record<string, string>; total: number | null }[] }[]> {
    return (await this.call("viewer", "/api/query", question)).results;
  }

  private async call(role: string, path: string, body: object) {
    const response = await fetch(setting("API_URL") + path, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token(role)}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok || answer.rejected > 0) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }
}

/** Ends every process of a function of this stack, as a crash would. */
export function kill(functionName: string): number {
  let killed = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    let environment: string[] = [];
    try {
      environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    } catch {
      // It has ended, or is somebody else's.
    }
    const is = (name: string, test: (value: string) => boolean) =>
      environment.some((entry) => entry.startsWith(`${name}=`) && test(entry.slice(name.length + 1)));
    const isOurs = is("AWS_ENDPOINT_URL", (url) => url === setting("AWS_ENDPOINT_URL"));
    if (isOurs && is("AWS_LAMBDA_FUNCTION_NAME", (name) => name.includes(functionName))) {
      process.kill(Number(pid), "SIGKILL");
      killed += 1;
    }
  }
  return killed;
}
