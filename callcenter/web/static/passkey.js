// The button of a passkey in the second step; it stays hidden where the browser knows none.
"use strict";

const form = document.getElementById("passkey");
const problem = form.querySelector("[role=alert]");

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function show() {
  const { options } = await ask("/api/v1/session/passkey", { step: form.elements.step.value });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const shown = await navigator.credentials.get({ publicKey });
  form.elements.passkey.value = JSON.stringify(shown);
  form.submit();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.hidden = true;
  try {
    await show();
  } catch {
    problem.hidden = false; // refused, too late, or no such passkey on this device
  }
});
form.hidden = !window.PublicKeyCredential?.parseRequestOptionsFromJSON;
