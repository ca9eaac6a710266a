// A form with `data-preview`, the name of its button for that, is sent while the user types. What the server makes of it is
// shown in the elements with `data-preview` and an id. Only these change.

const PAUSE = 300;
let timer = 0;
let pending = null;

const preview = async (form) => {
  pending?.abort();
  pending = new AbortController();
  const data = new URLSearchParams(new FormData(form));
  data.set(form.dataset.preview, "");
  const url = form.getAttribute("action") ?? location.href;
  const answer = await fetch(url, { method: "POST", body: data, signal: pending.signal, headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of form.querySelectorAll("[data-preview][id]")) {
    const next = page.getElementById(part.id);
    if (next && next.innerHTML !== part.innerHTML) part.replaceChildren(...next.childNodes);
  }
};

const previewSoon = (form) => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    // Another page may be shown by now. Without an answer, the words stay: the server checks again.
    if (form.isConnected) preview(form).catch(() => {});
  }, PAUSE);
};

document.addEventListener("input", ({ target }) => {
  if (target.form?.matches("form[data-preview]")) previewSoon(target.form);
});

// What was typed before this ran, or is there again after going back.
const isChanged = (field) => field.checked !== field.defaultChecked || (field.value !== field.defaultValue && field.matches("input, textarea"));
for (const form of document.querySelectorAll("form[data-preview]")) if ([...form.elements].some(isChanged)) previewSoon(form);
