// Owns the buttons by which something is done to an app, each behind a question. Runs in the browser.

import { byId, make, setText } from "/dom.js";
import { act } from "/session.js";
import { plural } from "/words.js";

const QUESTIONS = {
  reload: { label: "Reload", text: (app) => `Its ${plural(app.target_workers, "worker")} are replaced by new ones with new code, one after the other. No request is lost; if the new code does not start, nothing changes.` },
  restart: { label: "Restart", text: () => "All workers are stopped, then new ones are started. Requests wait meanwhile; a reload does it without a gap." },
  scale: { label: "Scale", text: () => "How many workers there are to be. Those that go finish what they have." },
  stop: { label: "Stop", isDangerous: true, text: (app) => `Nobody is served any more until somebody types: fastlb start ${app.name}` },
};
const dialog = byId("confirm");
let app = null;
let pending = null;

/** Say which app the buttons are for; `mayAct`: whether there are any. */
export function showActions(chosen, mayAct) {
  app = chosen;
  const place = byId("actions");
  if (mayAct && !place.childElementCount) {
    for (const [action, { label }] of Object.entries(QUESTIONS)) {
      const button = make("button", { type: "button", "data-action": action }, action === "scale" ? `${label}…` : label);
      button.addEventListener("click", () => ask(action));
      place.append(button);
    }
  }
  for (const button of place.children) button.disabled = !app || app.status === "stopped" || (app.status === "died" && button.dataset.action !== "stop");
}

function ask(action) {
  const { label, text, isDangerous } = QUESTIONS[action];
  pending = { action, app };
  setText(byId("confirm-title"), `${label} ${app.name}?`);
  setText(byId("confirm-text"), text(app));
  setText(byId("confirm-yes"), label);
  byId("confirm-yes").classList.toggle("danger", Boolean(isDangerous));
  byId("confirm-number").hidden = action !== "scale";
  byId("confirm-workers").value = String(app.target_workers);
  byId("confirm-workers").disabled = action !== "scale";
  dialog.returnValue = "no";
  dialog.showModal();
}

dialog.addEventListener("close", () => {
  const { action, app: asked } = pending;
  if (dialog.returnValue === "yes") perform(asked.name, action, action === "scale" ? { workers: Number(byId("confirm-workers").value) } : {});
});

async function perform(name, action, params) {
  say(`${name}: ${action} is under way…`, "");
  let outcome;
  try {
    outcome = await act(name, action, params);
  } catch {
    outcome = { ok: false, text: "the console does not answer: what was asked for may be under way", details: "" };
  }
  say(`${name}: ${outcome.text}`, outcome.ok ? "good" : "bad", outcome.details);
}

function say(text, tone, details = "") {
  const place = byId("outcome");
  place.hidden = false;
  place.className = `outcome ${tone}`;
  place.replaceChildren(text);
  if (details) place.append(make("pre", {}, details));
}

export function forgetOutcome() {
  byId("outcome").hidden = true;
}
