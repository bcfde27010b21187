import type { Change, Unit } from "./board/kpis";

export type Formats = ReturnType<typeof formatsFor>;

const COMPACT_FROM = 10_000_000;

/** A formatter that is made when it is first used: each takes milliseconds, which the first paint would wait for. */
function whenNeeded<Value>(make: () => { format(value: Value): string }) {
  let made: { format(value: Value): string } | undefined;
  return { format: (value: Value) => (made ??= make()).format(value) };
}

/** Parts of a cent count only where there is little more. */
function digitsOf(amount: number): number {
  const size = Math.abs(amount);
  if (size >= 100_000) return 0;
  return size > 0 && size < 0.1 ? 4 : 2;
}

/** How numbers and times are written in a locale, in the time zone of the viewer unless another is given. */
export function formatsFor(locale: string, timeZone?: string) {
  const numbers = (options: Intl.NumberFormatOptions) => whenNeeded(() => new Intl.NumberFormat(locale, options));
  const times = (options: Intl.DateTimeFormatOptions) =>
    whenNeeded(() => new Intl.DateTimeFormat(locale, { ...options, timeZone }));

  const whole = numbers({ maximumFractionDigits: 0 });
  const compact = numbers({ notation: "compact", maximumFractionDigits: 1 });
  const short = numbers({ notation: "compact", maximumFractionDigits: 1 });
  const net = numbers({ maximumFractionDigits: 0, signDisplay: "exceptZero" });
  const share = numbers({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const smallShare = numbers({ style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const axisShare = numbers({ style: "percent", maximumFractionDigits: 1 });
  const axisNumber = numbers({ maximumSignificantDigits: 3 });
  const tenths = numbers({ maximumFractionDigits: 1 });
  const changeShare = numbers({ style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
  const changePoints = numbers({ maximumFractionDigits: 2, signDisplay: "exceptZero" });
  const unit = (name: string) => numbers({ style: "unit", unit: name, unitDisplay: "narrow", maximumFractionDigits: 0 });
  const [days, hours, minutes, seconds] = ["day", "hour", "minute", "second"].map(unit);
  const secondsWithTenths = numbers({ style: "unit", unit: "second", unitDisplay: "narrow", maximumFractionDigits: 1 });

  const clock = times({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const hourMinute = times({ hour: "2-digit", minute: "2-digit" });
  const day = times({ month: "short", day: "numeric" });
  const dayAndTime = times({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const currencies = new Map<string, { format(value: number): string }>();
  const dayAndClock = times({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const full = times({ dateStyle: "medium", timeStyle: "short" });

  const count = (value: number) => (Math.abs(value) >= COMPACT_FROM ? compact : whole).format(value);
  const percent = (value: number) => (Math.abs(value) < 1 && value !== 0 ? smallShare : share).format(value / 100);

  /** Codes that are no currencies of ISO 4217 (XTR and TON are of its form) stand behind the number. */
  const amountsIn = (currency: string, digits: Intl.NumberFormatOptions) => {
    if (/^[a-z]{3}$/i.test(currency)) return numbers({ style: "currency", currency, ...digits });
    const plain = numbers(digits);
    return { format: (value: number) => `${plain.format(value)} ${currency}`.trim() };
  };

  return {
    count,
    percent,

    /** An amount with its currency; without one, the bare number. */
    money(value: number, currency: string | null): string {
      // Stars are whole.
      const digits = currency === "XTR" && Number.isInteger(value) ? 0 : digitsOf(value);
      const kept = `${currency} ${digits}`;
      const written = currencies.get(kept) ?? amountsIn(currency ?? "", { minimumFractionDigits: Math.min(digits, 2), maximumFractionDigits: digits });
      currencies.set(kept, written);
      return written.format(value);
    },

    clock: (at: Date) => clock.format(at),
    day: (at: Date) => day.format(at),
    full: (at: Date) => full.format(at),
    dayAndClock: (at: Date) => dayAndClock.format(at),
    dayAndTime: (at: Date) => dayAndTime.format(at),
    hourMinute: (at: Date) => hourMinute.format(at),
    rate: (perSecond: number) => tenths.format(perSecond),

    value(of: Unit, value: number): string {
      if (of === "percent") return percent(value);
      if (of === "seconds") return value >= 1000 ? (seconds?.format(value) ?? "") : secondsWithTenths.format(value);
      return of === "net" ? net.format(value) : count(value);
    },

    axis(of: Unit, value: number): string {
      if (of === "percent") return axisShare.format(value / 100);
      if (of === "seconds") return secondsWithTenths.format(value);
      return Math.abs(value) >= 10_000 ? short.format(value) : axisNumber.format(value);
    },

    change({ as, amount }: Change, points: string): string {
      if (as === "fraction") return changeShare.format(amount);
      return as === "difference" ? net.format(amount) : `${changePoints.format(amount)} ${points}`;
    },

    /** The two largest parts of a length of time. */
    duration(of: number): string {
      const total = Math.round(of);
      const parts = [
        { size: Math.floor(total / 86_400), as: days },
        { size: Math.floor(total / 3_600) % 24, as: hours },
        { size: Math.floor(total / 60) % 60, as: minutes },
        { size: total % 60, as: seconds },
      ];
      const first = parts.findIndex(({ size }) => size > 0);
      const shown = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2).filter(({ size }, at) => at === 0 || size > 0);
      return shown.map(({ size, as }) => as?.format(size) ?? "").join(" ");
    },
  };
}
