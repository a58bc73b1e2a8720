// Owns the page: what comes from the console, and which app is chosen. Runs in the browser.

import { forgetOutcome, showActions } from "/actions.js";
import { inOrder, moveSparks, setSparks, showApps } from "/apps.js";
import { chooseDetail, showDetail } from "/detail.js";
import { byId, setClass, setText } from "/dom.js";
import { addEvents, chooseEvents } from "/events.js";
import { addLines, clearLog } from "/logs.js";
import { logIn, takeToken } from "/session.js";
import { MARKS } from "/words.js";

const RETRY_MS = 3000;
let state = null;
let chosen = "";
let source = null;
let isFirst = true;

function connect() {
  if (source) source.close();
  clearLog();
  isFirst = true;
  source = new EventSource(`/api/stream${chosen ? `?logs=${encodeURIComponent(chosen)}` : ""}`);
  source.addEventListener("open", () => { isFirst = true; clearLog(); loadSparks(); });
  source.addEventListener("state", (event) => take(JSON.parse(event.data)));
  source.addEventListener("events", (event) => { addEvents(JSON.parse(event.data), isFirst); isFirst = false; });
  source.addEventListener("log", (event) => addLines(JSON.parse(event.data)));
  source.addEventListener("error", lost);
}

async function lost() {
  showLink("bad", "the console does not answer: figures are old");
  if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
  try {
    if ((await fetch("/api/sparks")).status === 401) { location.replace("/"); return; }
  } catch { /* it is not there */ }
  setTimeout(connect, RETRY_MS);
}

async function loadSparks() {
  const answer = await fetch("/api/sparks");
  if (answer.ok) setSparks((await answer.json()).requests_per_s);
}

function take(newer) {
  const isStep = state !== null && newer.step !== state.step;
  const was = find(chosen);
  state = newer;
  setText(byId("where"), `${state.user}@${state.host} · ${state.home}`);
  document.title = `${worst()}fastlb · ${state.host}`;
  setText(byId("mode"), state.may_act ? "Actions are allowed." : "Read only: fastlb console --allow-actions");
  setText(byId("version"), `fastlb ${state.version}`);
  showLink(state.problem ? "bad" : "good", state.problem || "live");
  setText(byId("clock"), new Date().toTimeString().slice(0, 8));
  if (!find(chosen)) choose((inOrder(state.apps)[0] || { name: "" }).name);
  else if (was && was.pid !== find(chosen).pid && find(chosen).pid) connect(); // started again: its log goes on
  if (isStep) moveSparks(state.apps);
  show(isStep);
}

const find = (name) => (state && state.apps.find((app) => app.name === name)) || null;

function worst() {
  if (state.apps.some((app) => app.severity === "bad")) return `${MARKS.bad} `;
  return state.apps.some((app) => app.severity) ? `${MARKS.warn} ` : "";
}

function show(isStep) {
  showApps(state.apps, chosen, chooseByHand);
  showDetail(find(chosen), isStep);
  showActions(find(chosen), state.may_act);
}

function choose(name) {
  if (name === chosen) return;
  chosen = name;
  forgetOutcome();
  chooseEvents(name);
  chooseDetail(name).then(() => state && showDetail(find(chosen), false));
  connect();
}

function chooseByHand(name) {
  history.replaceState(null, "", `#app=${encodeURIComponent(name)}`);
  choose(name);
  show(false);
}

function showLink(tone, words) {
  const link = byId("link");
  setClass(link, `link ${tone}`);
  setText(link.children[0], MARKS[tone]);
  setText(link.children[1], words);
  document.body.classList.toggle("stale", tone === "bad");
}

function chosenByAddress() {
  const [name, value] = location.hash.slice(1).split("=");
  return name === "app" && value ? decodeURIComponent(value) : "";
}

async function begin() {
  const token = takeToken();
  if (token) await logIn(token);
  const answer = await fetch("/api/state");
  const known = answer.ok ? await answer.json() : { apps: [] };
  const wanted = chosenByAddress();
  if (known.apps.some((app) => app.name === wanted)) choose(wanted);
  else connect();
}

addEventListener("hashchange", () => { if (location.hash.startsWith("#token=")) begin(); else if (find(chosenByAddress())) { choose(chosenByAddress()); show(false); } });
begin();
