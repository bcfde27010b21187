import { delayBefore } from "./backoff";
import { Followed } from "./followed";
import type { Frame, Question } from "./frames";
import { Line } from "./line";
import type { Surroundings } from "./surroundings";

const LOOK_AROUND_MS = 5_000;

/** It is live once each stream has said where it stands. */
export type Phase = "connecting" | "live" | "reconnecting" | "offline";

export interface Listener {
  /** `retryAt` is by the clock of the surroundings. */
  phase(phase: Phase, retryAt?: number): void;
  frame(frame: Frame): void;
  /** From here on, what is known of the stream is the present. */
  fresh(stream: string): void;
  /** A connection was not let in, or there was no way to it; browsers do not say which. */
  refused(): void;
}

/** Follows streams for as long as it is wanted, over as many connections as that takes. */
export class Live {
  private line: Line | undefined;
  /** Takes over once it knows of all streams, when the server has said that the other one will end. */
  private next: Line | undefined;
  private readonly streams = new Map<string, Followed>();
  private isLive = false;
  private failures = 0;
  private cancelRetry = () => {};
  private cancelLook = () => {};
  private offeredToken: string | undefined;

  constructor(
    private readonly world: Surroundings,
    private readonly listener: Listener,
    private readonly address: string,
    private token: string,
  ) {}

  start(): void {
    this.lookAround();
    this.connect();
  }

  stop(): void {
    this.cancelRetry();
    this.cancelLook();
    this.line?.close();
    this.next?.close();
    this.line = this.next = undefined;
  }

  /** Follows exactly these streams from now on. */
  follow(questions: Question[]): void {
    const wanted = new Map(questions.map((question) => [question.stream, question]));
    for (const [stream, { question }] of this.streams) {
      if (JSON.stringify(wanted.get(stream)) === JSON.stringify(question)) wanted.delete(stream);
      else this.streams.delete(stream);
      if (!questions.some((other) => other.stream === stream)) this.send({ action: "unsubscribe", stream });
    }
    const followed = [...wanted.values()].map((question) => new Followed(question));
    for (const each of followed) this.streams.set(each.question.stream, each);
    if (this.line) this.ask(this.line, followed);
    if (this.next) this.ask(this.next, followed);
  }

  /** Another token for this connection, and for those after it once the server has taken it. */
  offerToken(token: string): void {
    this.offeredToken = token;
    this.send({ action: "auth", token });
  }

  /** The user is back, or the network is: find out at once whether the connection still lives. */
  wake(): void {
    if (!this.line) this.retryNow();
    else this.line.check();
    this.next?.check();
  }

  retryNow(): void {
    if (!this.line) this.connect();
  }

  private connect(): void {
    this.cancelRetry();
    this.leave("connecting");
    this.line = this.dial();
  }

  private dial(): Line {
    // Addresses are written down on their way, in logs of servers and proxies. Subprotocols are the only other thing that a
    // browser lets a page say before the connection is open.
    return new Line(this.world, this, this.address, ["analytics", `bearer.${this.token}`]);
  }

  private send(message: object): void {
    this.line?.send(message);
    this.next?.send(message);
  }

  opened(line: Line): void {
    this.ask(line, [...this.streams.values()]);
  }

  /** By one message, however many there are. */
  private ask(line: Line, followed: Followed[]): void {
    if (followed.length === 0) return;
    const now = this.world.now();
    const streams = followed.map((each) => (line === this.line ? each.ask(line, now) : each.askBeside()));
    line.send({ action: "subscribe", streams });
  }

  frame(line: Line, frame: Frame): void {
    if ("stream" in frame && frame.stream !== undefined) this.hearStream(line, frame.stream, frame);
    else if (frame.type === "ready") this.hearReady(line, frame);
    else if (frame.type === "going_away") this.prepareNext();
    else {
      if (frame.type === "pong") this.hearOfLatest(line, frame.streams);
      if (frame.type === "authenticated" && this.offeredToken) this.token = this.offeredToken;
      this.listener.frame(frame);
    }
  }

  ended(line: Line, wasOpen: boolean): void {
    if (line === this.next) {
      this.next = undefined;
      this.failures += 1;
      this.cancelRetry = this.world.after(delayBefore(this.failures, this.world.random()), () => this.prepareNext());
      return;
    }
    if (this.next) {
      this.takeOver();
      return;
    }
    this.line = undefined;
    this.cancelRetry();
    const delay = delayBefore(this.failures, this.world.random());
    this.failures += 1;
    this.cancelRetry = this.world.after(delay, () => this.connect());
    this.leave(this.world.isOnline() ? "reconnecting" : "offline", this.world.now() + delay);
    if (!wasOpen) this.listener.refused();
  }

  private hearReady(line: Line, frame: Frame): void {
    if (line !== this.line) return;
    this.listener.frame(frame);
    this.settle();
  }

  private leave(phase: Phase, retryAt?: number): void {
    this.isLive = false;
    this.listener.phase(phase, retryAt);
  }

  private settle(): void {
    const { line } = this;
    if (this.isLive || !line?.isReady || this.streams.size === 0) return;
    this.isLive = [...this.streams.values()].every((followed) => followed.hasBegun(line));
    if (this.isLive) this.listener.phase("live");
  }

  private hearStream(line: Line, stream: string, frame: Frame): void {
    const followed = this.streams.get(stream);
    const heard = followed?.hear(line, frame, this.world.now()) ?? "ignored";
    if (heard === "ignored") return;
    this.listener.frame(frame);
    if (heard === "fresh") {
      this.failures = 0;
      this.listener.fresh(stream);
    }
    this.settle();
    const next = this.next;
    if (next && [...this.streams.values()].every((each) => each.belongsTo(next))) this.takeOver();
  }

  private hearOfLatest(line: Line, streams: Record<string, number>): void {
    const now = this.world.now();
    for (const [stream, seq] of Object.entries(streams)) this.streams.get(stream)?.hearOfLatest(line, seq, now);
  }

  private prepareNext(): void {
    if (this.line && !this.next) this.next = this.dial();
  }

  /** If the first line broke before the second knew all, the rest is not known until that does. */
  private takeOver(): void {
    const next = this.next;
    if (!next) return;
    const isComplete = [...this.streams.values()].every((followed) => followed.belongsTo(next));
    this.line?.close();
    this.line = next;
    this.next = undefined;
    if (isComplete) {
      this.settle();
      return;
    }
    this.leave("connecting");
    this.opened(next);
  }

  private lookAround(): void {
    this.cancelLook = this.world.after(LOOK_AROUND_MS, () => {
      this.lookAround();
      if (!this.line?.isReady || this.next) return;
      const now = this.world.now();
      this.ask(this.line, [...this.streams.values()].filter((followed) => followed.isOverdue(now)));
    });
  }
}
