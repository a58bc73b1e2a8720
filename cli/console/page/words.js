// Owns how figures and states are said. Pure. Runs in the browser.

export const TONES = {
  online: "good", ready: "good", finished: "good",
  starting: "busy", reloading: "busy", draining: "busy", stopping: "busy",
  degraded: "warn", unready: "warn", backoff: "warn",
  unhealthy: "bad", errored: "bad", died: "bad", unresponsive: "bad",
  exited: "off", stopped: "off",
};
export const MARKS = { good: "●", busy: "◐", warn: "▲", bad: "■", off: "○" };

const isKnown = (value) => value !== null && value !== undefined;

/** Return what `say` makes of a value, or a dash: nobody knows it. */
export const orDash = (say) => (value) => (isKnown(value) ? say(value) : "–");

export const count = orDash((value) => Math.round(value).toLocaleString("en"));
export const rate = orDash((value) =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1));
export const ms = orDash((value) =>
  value >= 10000 ? `${(value / 1000).toFixed(0)} s` : value >= 1000 ? `${(value / 1000).toFixed(1)} s`
    : value >= 10 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`);
export const percent = orDash((value) => `${value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`);
export const bytes = orDash((value) => {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; at += 1; }
  return `${value >= 100 || at === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[at]}`;
});
export const duration = orDash((seconds) => {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
});
/** Return a time of today, with its date when it is of another day. */
export function clock(date) {
  const time = date.toTimeString().slice(0, 8);
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString()} ${time}`;
}
export const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
