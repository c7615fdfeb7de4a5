// How figures are written for people. Money arrives as decimal strings of 10^-18 OPEN.

const UNIT = 10n ** 18n;

export function open(text, digits = 4) {
  const value = BigInt(text);
  const sign = value < 0n ? "−" : "";
  const size = value < 0n ? -value : value;
  const whole = (size / UNIT).toLocaleString("en");
  const rest = (size % UNIT).toString().padStart(18, "0").slice(0, digits).replace(/0+$/, "");
  if (size > 0n && size < UNIT / 10n ** BigInt(digits)) return `${sign}<0.${"0".repeat(digits - 1)}1`;
  return sign + whole + (rest ? `.${rest}` : "");
}

export function exactly(text) {
  const value = BigInt(text);
  return `${value / UNIT}.${(value % UNIT).toString().padStart(18, "0")} OPEN`;
}

export const count = (value) => Number(value).toLocaleString("en");

export const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

export const sum = (texts) => texts.reduce((total, text) => total + BigInt(text), 0n);

// Share of a whole in percent, exact to a hundredth.
export const percent = (part, whole) =>
  BigInt(whole) === 0n ? 0 : Number((BigInt(part) * 10000n) / BigInt(whole)) / 100;

export const nats = (micro) => (micro / 1e6).toFixed(3);

// A ratio given in parts per billion.
export function ratio(ppb) {
  if (ppb === 0) return "0";
  const value = ppb / 1e9;
  return value >= 0.001 ? value.toFixed(4) : value.toExponential(1);
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  const power = Math.min(3, Math.floor(Math.log2(size) / 10));
  return `${(size / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB"][power]}`;
}

export function short(text) {
  if (text.startsWith("12D3KooW")) return `…${text.slice(-8)}`; // all Ed25519 peer ids start so
  const bare = text.replace(/^0x/, "");
  const prefix = text.startsWith("0x") ? "0x" : "";
  return bare.length <= 13 ? text : `${prefix}${bare.slice(0, 6)}…${bare.slice(-4)}`;
}

export function ago(seconds) {
  const age = Math.max(0, Math.round(Date.now() / 1000 - seconds));
  if (age < 60) return `${age} s ago`;
  if (age < 3600) return `${Math.floor(age / 60)} min ago`;
  if (age < 172800) return `${Math.floor(age / 3600)} h ago`;
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

export const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 8);

// The same owner has the same hue on every page.
export function hue(text) {
  let value = 0;
  for (const letter of text) value = (value * 31 + letter.codePointAt(0)) % 360;
  return value;
}
