// A form with `data-preview` is sent while the user types, and what the server makes of it is shown in the elements
// with `data-preview` and an id. Only these change, so the focus, the selection and what was typed stay. The attribute's
// value is the name of the button that shows the preview without a script.

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

document.addEventListener("input", ({ target }) => {
  const form = target.form;
  if (!form?.matches("form[data-preview]")) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    // The form may have been saved meanwhile, and another page is shown. Without an answer, the words stay as they are: the
    // server checks again when the form is saved.
    if (form.isConnected) preview(form).catch(() => {});
  }, PAUSE);
});
