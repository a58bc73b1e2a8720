// Owns the page that asks for the token. Runs in the browser.

import { logIn, takeToken } from "/session.js";

const why = document.getElementById("why");

async function enter(token) {
  try {
    why.textContent = await logIn(token);
  } catch {
    why.textContent = "the console does not answer";
  }
  if (!why.textContent) location.replace("/");
}

document.getElementById("login").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(document.getElementById("token").value.trim());
});

async function begin() {
  const token = takeToken();
  if (token) return enter(token);
  // Followed from another page, the cookie was not sent along: from here it is.
  if ((await fetch("/api/sparks")).ok) location.replace("/");
}

begin();
addEventListener("hashchange", begin);
