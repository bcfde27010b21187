import type { Frame, Question } from "./frames";
import type { Line } from "./line";

const ASK_AGAIN_MS = 60_000;
const ASK_AGAIN_WHILE_WAITING_MS = 15_000;
/** What was said of a stream and has not come by then was missed. */
const ON_ITS_WAY_MS = 2_000;

export type Heard = "ignored" | "taken" | "fresh";

/** A stream that is followed, and the line whose frames of it count. */
export class Followed {
  private owner: Line | undefined;
  private isFresh = false;
  private isAnswered = false;
  private seq: number | undefined;
  private lastAt = 0;
  private latest = { seq: 0, saidAt: 0 };

  constructor(readonly question: Question) {}

  /** What asks for it, on the only line there is. */
  ask(line: Line, now: number): Question {
    if (this.owner !== line) this.isFresh = this.isAnswered = false;
    this.owner = line;
    this.lastAt = now;
    return this.askBeside();
  }

  /** What asks for it on a second line, while the first goes on to count. */
  askBeside(): Question {
    const resume = this.seq === undefined || this.isQuery ? {} : { sinceSeq: this.seq };
    return { ...this.question, ...resume };
  }

  hear(line: Line, frame: Frame, now: number): Heard {
    const begins = frame.type === "snapshot" || frame.type === "error" || (frame.type === "subscribed" && this.resumes);
    if (line !== this.owner && !begins) return "ignored";
    this.owner = line;
    this.lastAt = now;
    if (frame.type === "resync") this.seq = undefined;
    if ("seq" in frame) {
      if (frame.type === "event" && this.seq !== undefined && frame.seq <= this.seq) return "ignored";
      this.seq = frame.seq;
    }
    if (begins) this.isAnswered = true;
    if (frame.type === "error") this.isFresh = false;
    if (!begins || frame.type === "error") return "taken";
    this.isFresh = true;
    return "fresh";
  }

  /** The server says which frame was its latest. */
  hearOfLatest(line: Line, seq: number, now: number): void {
    if (line === this.owner && seq !== this.latest.seq) this.latest = { seq, saidAt: now };
  }

  belongsTo(line: Line): boolean {
    return this.owner === line;
  }

  /** The line has said where it stands, or why it does not. */
  hasBegun(line: Line): boolean {
    return this.owner === line && this.isAnswered;
  }

  /** A window of time moves on even if no events come, an answer may have been lost, or a frame. */
  isOverdue(now: number): boolean {
    const { seq, saidAt } = this.latest;
    const isBehind = this.isFresh && this.seq !== undefined && this.seq < seq;
    if (isBehind && now - Math.max(saidAt, this.lastAt) >= ON_ITS_WAY_MS) return true;
    const limit = this.isFresh ? ASK_AGAIN_MS : ASK_AGAIN_WHILE_WAITING_MS;
    return (this.isQuery || !this.isFresh) && now - this.lastAt >= limit;
  }

  private get isQuery(): boolean {
    return this.question.stream.startsWith("query/");
  }

  private get resumes(): boolean {
    return !this.isQuery && this.seq !== undefined;
  }
}
