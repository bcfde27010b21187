import type { Frame } from "./frames";
import type { Socket, Surroundings } from "./surroundings";

const OPEN_WITHIN_MS = 10_000;
const PING_EVERY_MS = 20_000;
const ANSWER_WITHIN_MS = 10_000;

interface Ears {
  opened(line: Line): void;
  frame(line: Line, frame: Frame): void;
  ended(line: Line, wasOpen: boolean): void;
}

/** One socket from its opening to its end. Notices when the other side is silent, which a socket alone does not. */
export class Line {
  private readonly socket: Socket;
  /** The server knows us. */
  isReady = false;
  private isOpen = false;
  private hasEnded = false;
  private heardAt = 0;
  private cancelTimer: () => void;

  constructor(
    private readonly world: Surroundings,
    private readonly ears: Ears,
    address: string,
    protocols: string[],
  ) {
    this.socket = world.open(address, protocols);
    this.socket.onopen = () => this.open();
    this.socket.onmessage = (message) => this.hear(message.data);
    this.socket.onclose = () => this.end();
    this.cancelTimer = world.after(OPEN_WITHIN_MS, () => this.end());
  }

  send(message: object): void {
    if (this.isOpen && !this.hasEnded) this.socket.send(JSON.stringify(message));
  }

  /** Asks for a sign of life. If nothing at all is heard in time, this line is dead. */
  check(): void {
    if (!this.isOpen || this.hasEnded) return;
    const askedAt = this.world.now();
    this.send({ action: "ping" });
    this.cancelTimer();
    this.cancelTimer = this.world.after(ANSWER_WITHIN_MS, () => {
      if (this.heardAt < askedAt) this.end();
      else this.checkAfter(PING_EVERY_MS - ANSWER_WITHIN_MS);
    });
  }

  /** Ends without telling anybody. */
  close(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.cancelTimer();
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }

  private open(): void {
    this.isOpen = true;
    this.cancelTimer();
    this.checkAfter(PING_EVERY_MS);
    this.ears.opened(this);
  }

  private hear(text: string): void {
    this.heardAt = this.world.now();
    let frame: Frame;
    try {
      frame = JSON.parse(text) as Frame;
    } catch {
      return;
    }
    if (frame.type === "ready") this.isReady = true;
    this.ears.frame(this, frame);
  }

  private end(): void {
    if (this.hasEnded) return;
    this.close();
    this.ears.ended(this, this.isOpen);
  }

  private checkAfter(milliseconds: number): void {
    this.cancelTimer = this.world.after(milliseconds, () => this.check());
  }
}
