// Enhancements: every page works without them.

const root = document.documentElement;
root.classList.add("js");

// The next pages show times in the zone of this browser, unless the user chose one.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`timezone=${zone}`)) {
  document.cookie = `timezone=${zone}; path=/; max-age=31536000; samesite=lax`;
}

const announcer = document.getElementById("announcer");

const announce = (text) => {
  announcer.className = "visually-hidden";
  announcer.textContent = text;
};

const fail = () => {
  announcer.className = "notice notice--bad toast";
  announcer.textContent = announcer.dataset.failed;
};

// What is shown. An anchor on the page changes only the fragment.
let shown = location.pathname + location.search;

// A form or a link with `data-live` changes <main> in place. Whatever cannot be shown that way is a usual navigation.
const show = async (url, options, origin) => {
  const answer = await fetch(url, { ...options, headers: { Accept: "text/html" } });
  const target = new URL(answer.url);
  const isPage = answer.headers.get("Content-Type")?.startsWith("text/html");
  const page = isPage && new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = page && page.querySelector("main#main");
  if (!main || target.pathname !== location.pathname) {
    location.assign(answer.url);
    return;
  }
  const { id, name, value } = origin ?? {};
  document.querySelector("main").replaceWith(document.adoptNode(main));
  document.title = page.title;
  if (target.href !== location.href) history.pushState(null, "", target);
  shown = location.pathname + location.search;
  const same = (id && document.getElementById(id)) || (name && main.querySelector(`[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`));
  const next = main.querySelector("[autofocus]") || same || main;
  next.focus({ preventScroll: next === same });
  announce(main.querySelector(".notice, .errors, [data-announce]")?.textContent.trim() ?? page.title);
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-live]") || form.dataset.sending) return;
  event.preventDefault();
  const data = new URLSearchParams(new FormData(form, event.submitter));
  const url = new URL(event.submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? location.href, location.href);
  const isPost = form.method === "post";
  if (!isPost) {
    for (const [field, text] of [...data]) if (!text) data.delete(field, text);
    url.search = data;
  }
  form.dataset.sending = "yes";
  show(url, isPost ? { method: "POST", body: data } : {}, event.submitter ?? document.activeElement)
    .catch(fail)
    .finally(() => delete form.dataset.sending);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-live]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  show(link.href, {}, link).catch(() => location.assign(link.href));
});

// A form with `data-auto` is sent when the user changes it, but not while they type: they may be about to press a button.
const AUTO = "[data-auto], form[data-auto] :is(select, [type=checkbox], [type=radio])";
document.addEventListener("change", (event) => {
  if (event.target.matches(AUTO)) event.target.form.requestSubmit();
});

window.addEventListener("popstate", () => {
  if (shown !== location.pathname + location.search) location.reload();
});

// <button data-copy="id of the text" data-done="Copied">
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  announce(button.dataset.done);
  const label = button.querySelector("[data-label]") ?? button;
  const text = label.textContent;
  label.textContent = button.dataset.done;
  setTimeout(() => { label.textContent = text; }, 2000);
});
