import type { Frame, Question } from "../src/live/frames";
import { Live, type Listener, type Phase } from "../src/live/live";
import type { Socket, Surroundings } from "../src/live/surroundings";

/** The other end of a connection. */
export class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  /** Subscribes to several streams as one to each. */
  readonly said: Record<string, unknown>[] = [];
  messages = 0;
  isClosed = false;

  constructor(
    readonly address: string,
    readonly protocols: string[],
  ) {}

  send(text: string): void {
    this.messages += 1;
    const { streams, ...message } = JSON.parse(text) as { action: string; streams?: Question[] };
    this.said.push(...(streams ?? [{}]).map((stream) => ({ ...message, ...stream })));
  }

  close(): void {
    this.isClosed = true;
  }

  says(frame: Frame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  accept(): void {
    this.onopen?.();
    this.says({ type: "ready", connectionId: "c", accountId: "shop", role: "viewer", tokenExpiresAt: "", streams: [] });
  }

  breaks(): void {
    this.onclose?.();
  }

  count(action: string): number {
    return this.said.filter((message) => message["action"] === action).length;
  }
}

/** A world whose time passes when it is told to. */
export class FakeWorld implements Surroundings {
  readonly sockets: FakeSocket[] = [];
  private time = 1000;
  private timers: { at: number; then: () => void }[] = [];

  open(address: string, protocols: string[]): FakeSocket {
    const socket = new FakeSocket(address, protocols);
    this.sockets.push(socket);
    return socket;
  }

  now(): number {
    return this.time;
  }

  random(): number {
    return 1;
  }

  isOnline(): boolean {
    return true;
  }

  after(milliseconds: number, then: () => void): () => void {
    const timer = { at: this.time + milliseconds, then };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  pass(milliseconds: number): void {
    const until = this.time + milliseconds;
    for (;;) {
      const next = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = next.at;
      next.then();
    }
    this.time = until;
  }

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nobody has connected");
    return socket;
  }
}

/** A client that follows these streams, and what it has told. */
export function following(...questions: Question[]) {
  const world = new FakeWorld();
  const heard = { phases: [] as Phase[], frames: [] as Frame[], fresh: [] as string[], refused: 0 };
  const listener: Listener = {
    phase: (phase) => heard.phases.push(phase),
    frame: (frame) => heard.frames.push(frame),
    fresh: (stream) => heard.fresh.push(stream),
    refused: () => heard.refused++,
  };
  const live = new Live(world, listener, "wss://live/ws", "t.o.k");
  live.start();
  live.follow(questions);
  return { world, heard, live };
}

export const KPIS = { stream: "query/kpis", queries: [] };
export const EVENTS = { stream: "analytics" };

export const snapshot = (stream: string, seq = 1): Frame =>
  stream === "analytics"
    ? { type: "snapshot", stream, seq, asOf: "2026-11-24T09:30:00.000Z", totals: { since: "", events: 0, byName: {} } }
    : { type: "snapshot", stream, seq, asOf: "2026-11-24T09:30:00.000Z", data: { results: [] } };

export const events = (seq: number): Frame => ({
  type: "event",
  stream: "analytics",
  seq,
  asOf: "2026-11-24T09:30:00.000Z",
  events: [],
  skipped: 0,
  totals: { since: "", events: seq, byName: {} },
});
