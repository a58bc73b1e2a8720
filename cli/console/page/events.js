// Owns the list of what happened. Runs in the browser.

import { byId, make } from "/dom.js";
import { MARKS, clock } from "/words.js";

const MOST = 300;
const TONE_OF = { info: "off", warning: "warn", error: "bad" };
let events = [];
let app = "";

/** Add events, the newest last; with `isAll` they are all that there are. */
export function addEvents(added, isAll) {
  events = [...(isAll ? [] : events), ...added].slice(-MOST);
  show();
}

/** Show those of this app. */
export function chooseEvents(chosen) {
  app = chosen;
  show();
}

function show() {
  const isAll = byId("events-all").checked;
  const shown = events.filter((event) => isAll || event.app === app).reverse();
  byId("events").replaceChildren(...shown.map((event) => line(event, isAll)));
  if (!shown.length) byId("events").append(make("li", { class: "muted" }, "Nothing has happened that is still known."));
}

function line(event, hasApp) {
  const tone = TONE_OF[event.level] || "off";
  return make("li", { class: tone }, make("span", { class: "mark", title: event.level }, tone === "off" ? "·" : MARKS[tone]),
    make("time", { datetime: event.time }, clock(new Date(event.time))), make("span", { class: "event-name" }, event.event),
    make("span", { class: "words" }, hasApp ? `${event.app}: ${event.text}` : event.text));
}

byId("events-all").addEventListener("change", show);
