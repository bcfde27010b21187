/** What a connection needs of the world around it, so that tests can be that world. */
export interface Surroundings {
  /** `protocols` are offered, as the second argument of a WebSocket. */
  open(address: string, protocols: string[]): Socket;
  now(): number;
  /** Returns what takes it back. */
  after(milliseconds: number, then: () => void): () => void;
  random(): number;
  isOnline(): boolean;
}

export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((message: { data: string }) => void) | null;
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
}

export const browser: Surroundings = {
  open: (address, protocols) => new WebSocket(address, protocols) as Socket,
  now: () => performance.now(),
  after: (milliseconds, then) => {
    const timer = setTimeout(then, milliseconds);
    return () => clearTimeout(timer);
  },
  random: Math.random,
  isOnline: () => navigator.onLine,
};
