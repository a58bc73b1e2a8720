// Owns the glance: what is wrong, and the table of all apps. Runs in the browser.

import { Spark } from "/chart.js";
import { byId, keep, make, setClass, setText } from "/dom.js";
import { MARKS, TONES, bytes, count, duration, ms, percent, plural, rate } from "/words.js";

const SPARK_LENGTH = 100;
const ORDER = { bad: 0, warning: 1, "": 2 };
const sparks = new Map();

/** Put a status into an element: a mark whose shape tells as much as its colour, and the word. */
export function showStatus(element, status, severity = "") {
  const tone = severity === "bad" ? "bad" : severity === "warning" && TONES[status] === "good" ? "warn" : TONES[status] || "off";
  setClass(element, `status ${tone}`);
  if (!element.firstElementChild) element.append(make("span", { "aria-hidden": "true" }), make("span"));
  setText(element.children[0], MARKS[tone]);
  setText(element.children[1], status);
}

/** Return apps as they are shown: what is wrong comes first. */
export const inOrder = (apps) =>
  [...apps].sort((one, other) => ORDER[one.severity] - ORDER[other.severity] || (one.name < other.name ? -1 : 1));

export function showApps(apps, selected, choose) {
  showVerdict(apps, choose);
  byId("no-apps").hidden = apps.length > 0;
  byId("apps").hidden = apps.length === 0;
  const body = byId("apps").tBodies[0];
  keep(body, inOrder(apps), (app) => app.name, (app) => makeRow(app.name, choose), (row, app) => updateRow(row, app, selected));
}

function makeRow(name, choose) {
  const button = make("button", { class: "plain name", type: "button" }, name);
  const classes = ["", "", "n", "n", "wide spark-cell", "n wide", "n mid", "n", "n mid", "n mid", "n mid", "n wide", "n wide"];
  const row = make("tr", {}, ...classes.map((value, at) => make(at ? "td" : "th", value ? { class: value } : {})));
  row.cells[0].scope = "row";
  row.cells[0].append(button);
  const spark = new Spark();
  sparks.set(name, { spark, values: [] });
  row.cells[4].append(spark.element);
  row.addEventListener("click", () => choose(name));
  return row;
}

function updateRow(row, app, selected) {
  row.classList.toggle("chosen", app.name === selected);
  row.cells[0].firstChild.setAttribute("aria-pressed", String(app.name === selected));
  showStatus(row.cells[1], app.status, app.severity);
  const { live } = app;
  const online = app.workers.filter((worker) => worker.status === "online").length;
  const texts = {
    2: app.status === "stopped" ? "–" : `${online}/${app.target_workers}${app.autoscaling ? ` ${app.autoscaling}` : ""}`,
    3: rate(live.requests_per_s), 5: ms(live.p50_ms), 6: ms(live.p99_ms), 7: rate(live.errors_per_s),
    8: count(live.connections), 9: percent(live.cpu_percent), 10: bytes(live.rss_bytes), 11: count(app.restarts),
    12: app.status === "stopped" ? "–" : duration(app.uptime_s),
  };
  for (const [at, text] of Object.entries(texts)) setText(row.cells[at], text);
  row.cells[7].classList.toggle("hot", live.errors_per_s > 0);
}

/** Take the last minutes of all apps. */
export function setSparks(values) {
  for (const [name, kept] of sparks) {
    kept.values = values[name] || [];
    kept.spark.draw(kept.values, SPARK_LENGTH);
  }
}

/** One step later. */
export function moveSparks(apps) {
  const names = new Set(apps.map((app) => app.name));
  for (const name of sparks.keys()) if (!names.has(name)) sparks.delete(name);
  for (const app of apps) {
    const kept = sparks.get(app.name);
    if (!kept) continue;
    kept.values = [...kept.values, app.live.requests_per_s].slice(-SPARK_LENGTH);
    kept.spark.draw(kept.values, SPARK_LENGTH);
  }
}

function showVerdict(apps, choose) {
  const bad = apps.filter((app) => app.severity === "bad").length;
  const ailing = apps.filter((app) => app.severity === "warning").length;
  const stopped = apps.filter((app) => app.status === "stopped").length;
  const tone = bad ? "bad" : ailing ? "warn" : "good";
  const parts = [];
  if (bad) parts.push(`${plural(bad, "app")} down`);
  if (ailing) parts.push(`${plural(ailing, "app")} with trouble`);
  if (!parts.length) parts.push(apps.length === stopped ? "nothing runs" : "all is well");
  parts.push(`${apps.length - stopped} of ${plural(apps.length, "app")} running`);
  const verdict = byId("verdict");
  setClass(verdict, `verdict ${apps.length && apps.length === stopped ? "off" : tone}`);
  setText(verdict.querySelector(".mark"), MARKS[tone]);
  setText(verdict.querySelector(".words"), parts.join(" · "));
  const troubles = inOrder(apps).flatMap((app) => app.troubles.map((trouble, at) => ({ app: app.name, at, ...trouble })));
  keep(byId("troubles"), troubles.slice(0, 12), ({ app, at }) => `${app} ${at}`, ({ app }) => {
    const button = make("button", { class: "plain name", type: "button" }, app);
    button.addEventListener("click", () => choose(app));
    return make("li", {}, make("span", { class: "mark", "aria-hidden": "true" }), button, make("span", { class: "words" }));
  }, (item, { severity, text }) => {
    setClass(item, severity === "bad" ? "bad" : "warn");
    setText(item.children[0], MARKS[severity === "bad" ? "bad" : "warn"]);
    setText(item.children[2], text);
  });
}
