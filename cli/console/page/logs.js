// Owns the log of the chosen app: the last lines, which of them are shown, and whether the newest is. Runs in the browser.

import { byId, make, setText } from "/dom.js";
import { clock } from "/words.js";

const MOST = 1000;
const list = byId("log");
const filter = byId("log-filter");
let missed = 0;

/** Begin anew. */
export function clearLog() {
  list.replaceChildren();
  missed = 0;
  setText(byId("log-note"), "");
}

/** Add what has come: {lines, missed, ended}. */
export function addLines(come) {
  const added = come.lines.map(line);
  for (const element of added) element.hidden = !isWanted(element);
  list.append(...added);
  while (list.childElementCount > MOST) list.firstElementChild.remove();
  missed += come.missed;
  const notes = [missed ? `${missed.toLocaleString("en")} lines came faster than they can be shown and are left out here.` : "", come.ended];
  setText(byId("log-note"), notes.filter(Boolean).join(" "));
  if (byId("log-follow").checked) toEnd();
}

function line({ time, stream, worker, text }) {
  const marks = [make("time", {}, time ? clock(new Date(time * 1000)) : ""), make("span", { class: "who" }, worker === null ? "" : String(worker))];
  return make("li", { class: stream === "err" ? "err" : "", "data-stream": stream }, ...marks, make("span", { class: "words" }, text));
}

function isWanted(element) {
  if (byId("log-errors").checked && element.dataset.stream !== "err") return false;
  return element.lastChild.textContent.toLowerCase().includes(filter.value.toLowerCase());
}

function refilter() {
  for (const element of list.children) element.hidden = !isWanted(element);
  if (byId("log-follow").checked) toEnd();
}

function toEnd() {
  list.scrollTop = list.scrollHeight;
}

filter.addEventListener("input", refilter);
byId("log-errors").addEventListener("change", refilter);
byId("log-follow").addEventListener("change", () => byId("log-follow").checked && toEnd());
// Whoever scrolls up wants to read; whoever is at the end follows.
list.addEventListener("scroll", () => {
  byId("log-follow").checked = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
});
