// Passkeys. A form with `data-passkey` is hidden until this script finds that the browser has passkeys. Its button asks
// the server for a challenge, the browser for a signature, and posts the answer.

const decode = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const withIds = (credentials = []) => credentials.map((one) => ({ ...one, id: decode(one.id) }));

const begin = async (form, signal) => {
  const body = new URLSearchParams({ purpose: form.dataset.passkey });
  body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  const answer = await fetch(form.dataset.options, { method: "POST", body, signal, headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`No challenge: ${answer.status}`);
  const { publicKey } = await answer.json();
  publicKey.challenge = decode(publicKey.challenge);
  publicKey.allowCredentials = withIds(publicKey.allowCredentials);
  publicKey.excludeCredentials = withIds(publicKey.excludeCredentials);
  if (publicKey.user) publicKey.user.id = decode(publicKey.user.id);
  return publicKey;
};

const finish = (form, credential) => {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = encode(credential.response[name]);
  }
  const { id, type } = credential;
  form.elements.credential.value = JSON.stringify({ id, rawId: encode(credential.rawId), type, response, clientExtensionResults: {} });
  form.submit();
};

let offered; // ends the ceremony of the address field, because a browser runs one at a time

const ask = async (form, mediation) => {
  offered?.abort();
  const ended = new AbortController();
  if (mediation) offered = ended;
  const publicKey = await begin(form, ended.signal);
  const options = { publicKey, signal: ended.signal, ...(mediation && { mediation }) };
  const isNew = form.dataset.passkey === "add";
  finish(form, await navigator.credentials[isNew ? "create" : "get"](options));
};

const start = async (form) => {
  form.hidden = false;
  const error = form.querySelector("[data-error]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.textContent = "";
    try {
      await ask(form);
    } catch {
      error.textContent = form.dataset.failed;
    }
  });
  const field = document.querySelector("input[autocomplete~=webauthn]");
  if (field && (await PublicKeyCredential.isConditionalMediationAvailable?.())) {
    ask(form, "conditional").catch(() => {}); // the button remains
  }
};

// A challenge that arrives after the answer to the password would replace the cookie of the signed-in session.
document.addEventListener("submit", () => offered?.abort());

if (window.PublicKeyCredential) document.querySelectorAll("form[data-passkey]").forEach(start);
