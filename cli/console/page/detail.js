// Owns what is shown of the chosen app: charts of the last hour, and its workers. Runs in the browser.

import { showStatus } from "/apps.js";
import { Chart } from "/chart.js";
import { byId, keep, make, setText } from "/dom.js";
import { bytes, count, duration, ms, percent, rate } from "/words.js";

const LENGTH = 600;
// The time that is shown grows with what is known of it.
const LENGTHS = [50, 100, 200, 300, LENGTH];
const CHARTS = [
  new Chart("Requests/s", [{ field: "requests_per_s", name: "", tone: "plain" }], rate),
  new Chart("p50, p99", [{ field: "p50_ms", name: "p50", tone: "plain" }, { field: "p99_ms", name: "p99", tone: "second" }], ms),
  new Chart("Errors/s", [{ field: "errors_per_s", name: "", tone: "bad" }], rate),
  new Chart("Connections", [{ field: "connections", name: "", tone: "plain" }], count),
  new Chart("CPU", [{ field: "cpu_percent", name: "", tone: "plain" }], percent),
  new Chart("Memory", [{ field: "rss_bytes", name: "", tone: "plain" }], bytes),
];
let name = "";
let step = 6;
let series = {};

byId("charts").append(...CHARTS.map((chart) => chart.element));

/** Begin to show another app, or none (""). */
export async function chooseDetail(chosen) {
  name = chosen;
  series = {};
  if (!chosen) return;
  const answer = await fetch(`/api/history/${encodeURIComponent(chosen)}`);
  if (!answer.ok) return;
  const history = await answer.json();
  if (history.app !== name) return;
  series = history.series;
  step = history.step_s;
}

/** Show what is known now; `isStep`: it is time for a new point of the history. */
export function showDetail(app, isStep) {
  byId("detail").hidden = !app;
  if (!app) return;
  if (isStep) {
    for (const [field, value] of Object.entries(app.live)) series[field] = [...(series[field] || []), value].slice(-LENGTH);
  }
  setText(byId("detail-title"), app.name);
  showStatus(byId("detail-status"), app.status, app.severity);
  setText(byId("detail-about"), about(app));
  const known = (series.workers || []).length;
  const length = LENGTHS.find((one) => one >= known) || LENGTH;
  for (const chart of CHARTS) chart.draw(series, app.live, step, length);
  showWorkers(app.workers);
}

function about(app) {
  const doing = app.operations.map(({ operation, by, state }) => `${operation} ${state} (${by})`);
  const parts = [...doing, app.target, app.binds.join(", "), app.balance || app.mode, app.version && `fastlb ${app.version}`];
  return parts.filter(Boolean).join(" · ");
}

function showWorkers(workers) {
  byId("no-workers").hidden = workers.length > 0;
  byId("workers").hidden = workers.length === 0;
  const most = Math.max(1, ...workers.map((worker) => worker.connections));
  const all = workers.reduce((sum, worker) => sum + worker.connections, 0);
  keep(byId("workers").tBodies[0], workers, (one) => `${one.id}/${one.generation}/${one.pid}`, makeRow, (row, worker) => {
    const texts = {
      0: String(worker.id), 2: worker.pid ? String(worker.pid) : "–", 3: String(worker.generation), 5: count(worker.busy),
      6: rate(worker.requests_per_s), 7: ms(worker.p50_ms), 8: ms(worker.p99_ms), 9: worker.requests === null ? "–" : count(worker.errors),
      10: percent(worker.cpu_percent), 11: bytes(worker.rss_bytes), 12: count(worker.restarts),
      13: worker.pid ? duration(worker.uptime_s) : "–", 14: worker.note,
    };
    for (const [at, text] of Object.entries(texts)) setText(row.cells[at], text);
    showStatus(row.cells[1], worker.status);
    const [bar, words] = row.cells[4].firstChild.children;
    bar.firstChild.style.width = `${(100 * worker.connections) / most}%`;
    setText(words, all ? `${worker.connections} (${Math.round((100 * worker.connections) / all)} %)` : "0");
  });
}

function makeRow() {
  const classes = ["n", "", "n mid", "n wide", "spread-cell", "n mid", "n", "n wide", "n mid", "n", "n mid", "n mid", "n wide", "n wide", "note mid"];
  const row = make("tr", {}, ...classes.map((value, at) => make(at ? "td" : "th", value ? { class: value } : {})));
  row.cells[0].scope = "row";
  row.cells[4].append(make("div", { class: "spread" }, make("span", { class: "bar", "aria-hidden": "true" }, make("span")), make("span")));
  return row;
}
