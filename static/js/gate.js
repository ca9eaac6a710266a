// Enhancements: every page works without them.

const root = document.documentElement;
root.classList.add("js");

// Pages show times in this zone, unless the user chose one.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`timezone=${zone}`)) {
  document.cookie = `timezone=${zone}; path=/; max-age=31536000; samesite=lax`;
}

const TOKEN = "csrfmiddlewaretoken";
const announcer = document.getElementById("announcer");

const announce = (text) => {
  announcer.className = "visually-hidden";
  announcer.textContent = text;
};

const fail = () => {
  announcer.className = "notice notice--bad toast";
  announcer.textContent = announcer.dataset.failed;
};

// A form for texts that was sent without a session stays, with what was typed. Signing in changes the token that it needs.
const TEXTS = "form:has(textarea, input:not([type=hidden], [type=checkbox], [type=radio]))";
const signedOut = document.getElementById("signed-out")?.content;
const SIGN_IN = signedOut?.querySelector("a").getAttribute("href");

const askToSignIn = (form) => {
  form.dataset.stale = "yes";
  announcer.className = "notice notice--bad toast";
  announcer.replaceChildren(signedOut.cloneNode(true));
  return false;
};

const renewToken = async ({ dataset, elements }) => {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const token = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(`main [name=${TOKEN}]`);
  if (token) elements[TOKEN].value = token.value;
  delete dataset.stale;
};

// What is shown. An anchor on the page changes only the fragment.
let shown = location.pathname + location.search;

const SHEETS = "link[rel=stylesheet]";

const isIn = (head, { href, src }) => [...head.querySelectorAll("link, script")].some((one) => (one.href ?? one.src) === (href ?? src));

const loadSheet = (sheet) => new Promise((done) => {
  const copy = sheet.cloneNode();
  copy.onload = copy.onerror = done;
  document.head.append(copy);
});

// A script that was parsed with its page does not run, but a copy does.
const runScript = ({ src }) => document.head.append(Object.assign(document.createElement("script"), { type: "module", src }));

// Replace all but the announcer, which screen readers must know.
const showFrame = (page) => {
  document.body.className = page.body.className;
  page.getElementById("announcer").remove();
  for (const part of [...document.body.children]) if (part !== announcer) part.remove();
  announcer.before(...page.body.childNodes);
  for (const sheet of document.querySelectorAll(SHEETS)) if (!isIn(page.head, sheet)) sheet.remove();
};

// Let what changes fade, if the browser can.
const change = async (update) => {
  if (document.startViewTransition) await document.startViewTransition(update).updateCallbackDone;
  else update();
};

// Show a fetched page as the one at `target`. Error pages have no frame, so the present one stays.
const showPage = async (page, target, main) => {
  const hasFrame = page.getElementById("announcer") && target.pathname !== location.pathname;
  const missing = (selector) => [...page.head.querySelectorAll(selector)].filter((one) => !isIn(document.head, one));
  await Promise.all(missing(SHEETS).map(loadSheet));
  for (const part of page.querySelectorAll("noscript")) part.remove(); // the parser takes their content for elements
  // After an entry without the fragment, Back would do nothing.
  const isElsewhere = target.pathname + target.search !== shown || (target.hash && target.hash !== location.hash);
  if (isElsewhere) history.pushState(null, "", target);
  shown = location.pathname + location.search;
  document.title = page.title;
  await change(() => {
    if (hasFrame) showFrame(page);
    else document.querySelector("main").replaceWith(main);
  });
  missing("script[src]").forEach(runScript);
};

// An answer's address has no fragment, so return that of the link or button.
const fragmentOf = (url, origin) => (origin?.matches?.("a, button") ? new URL(url, location.href).hash : "");

// Move the focus to what the page asks for, to what the fragment or `data-focus` names, to what was used, or to an error.
const focusIn = (main, { id, name, value, dataset }, fragment, heading) => {
  const named = document.getElementById(dataset?.focus ?? fragment.slice(1));
  const same = (id && document.getElementById(id)) || (name && main.querySelector(`[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`));
  const asked = main.querySelector("[autofocus]");
  for (const one of [heading, named]) if (one?.tabIndex < 0) one.tabIndex = -1;
  const next = asked || named || same || heading || main;
  next.focus({ preventScroll: next === named || next === same });
  if (next === named) named.scrollIntoView({ block: dataset?.focus ? "nearest" : "start" });
};

// A form or a link with `data-live` shows its answer in place, also an error. No page is requested twice: the second GET
// would lose the first one's messages. `keeps` is a form that an old token or session must not lose. Return whether it needs
// another token.
const show = async (url, options, origin, keeps = null) => {
  const answer = await fetch(url, { ...options, headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = page.querySelector("main#main");
  if (!main) throw new Error(`No page: ${answer.status}`);
  if (keeps && !keeps.dataset.stale && main.querySelector("[data-stale]")) return true;
  const target = new URL(answer.url);
  const fragment = fragmentOf(url, origin);
  if (!options.method && !answer.redirected) target.hash = fragment;
  if (keeps && answer.redirected && target.pathname === SIGN_IN) return askToSignIn(keeps);
  const used = target.pathname === location.pathname ? origin : null;
  const heading = answer.ok ? null : main.querySelector("h1");
  await showPage(page, target, main);
  focusIn(main, used ?? {}, used ? fragment : target.hash, heading);
  announce((main.querySelector(".notice, .errors, [data-announce]") ?? heading)?.textContent.trim() ?? page.title);
  return false;
};

const send = async (form, submitter) => {
  const isPost = form.method === "post";
  const url = new URL(submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? shown, location.href);
  const ask = async () => {
    const data = new URLSearchParams(new FormData(form, submitter));
    if (!isPost) {
      for (const [field, text] of [...data]) if (!text) data.delete(field, text);
      url.search = data;
    }
    return show(url, isPost ? { method: "POST", body: data } : {}, submitter ?? document.activeElement, isPost && form.matches(TEXTS) ? form : null);
  };
  if (form.dataset.stale) await renewToken(form);
  if (!(await ask())) return;
  await renewToken(form);
  form.dataset.stale = "yes";
  await ask();
};

// The second click of a double click sends nothing. A form without `data-live` can be sent again after a while, since a
// file as the answer leaves the page as it is, and when the browser shows a page that it kept.
const release = (form) => delete form.dataset.sending;

document.addEventListener("submit", (event) => {
  const form = event.target;
  const isLive = form.matches("[data-live]");
  if (event.defaultPrevented || !(isLive || form.method === "post")) return;
  if (isLive || form.dataset.sending) event.preventDefault();
  if (form.dataset.sending) return;
  form.dataset.sending = "yes";
  if (isLive) send(form, event.submitter).catch(fail).finally(() => release(form));
  else setTimeout(release, 5000, form);
});

window.addEventListener("pageshow", () => document.querySelectorAll("[data-sending]").forEach(release));

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-live]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  show(link.href, {}, link).catch(() => location.assign(link.href));
});

// A field with `data-auto` sends its form when the user changes it.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-auto]")) event.target.form.requestSubmit();
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

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
});

// Count down to near times, in the words of `core/formats.py`. An element keeps its width.
const UNITS = { day: 86400, hour: 3600, minute: 60 };
const inWords = new Intl.RelativeTimeFormat(root.lang);

const untilThen = (seconds) => {
  if (seconds < 45) return announcer.dataset[seconds > 0 ? "soon" : "now"];
  const [unit, length] = Object.entries(UNITS).find(([, one]) => seconds >= one) ?? ["minute", 60];
  return inWords.format(Math.max(1, Math.round(seconds / length)), unit);
};

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-counted]")) {
    const words = untilThen((Date.parse(time.dateTime) - Date.now()) / 1000);
    if (time.firstChild.data === words) continue;
    time.style.minInlineSize = `${time.getBoundingClientRect().width}px`;
    time.firstChild.data = words;
  }
}, 5000);
