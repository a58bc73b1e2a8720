// Owns what this browser knows of the console: the key, without which nothing can be done. Runs in the browser.
// The session itself is a cookie that no script sees.

const KEY = "key";

/** Show the token; return "" or why it was not taken. */
export async function logIn(token) {
  const answer = await fetch("/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (!answer.ok) return (await answer.text()).trim();
  localStorage.setItem(KEY, (await answer.json()).key);
  return "";
}

/** Return the token in the address, and take it out of it; "": there is none. */
export function takeToken() {
  const [name, token] = location.hash.slice(1).split("=");
  if (name !== "token" || !token) return "";
  history.replaceState(null, "", location.pathname);
  return token;
}

/** Have something done; return {ok, text, details}. */
export async function act(app, action, params) {
  const answer = await fetch(`/api/apps/${encodeURIComponent(app)}/${action}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-console-key": localStorage.getItem(KEY) || "" },
    body: JSON.stringify(params),
  });
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return { ok: false, text: text.trim(), details: "" };
  }
}
