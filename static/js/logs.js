// The developer's log: new entries while it is live, and the keyboard.

const PAUSE = 3000;
const MOST = 30000;

const announce = (words) => {
  document.getElementById("announcer").textContent = words;
};

const listingOf = (html) => {
  const listing = document.createElement("div");
  listing.innerHTML = html;
  return listing;
};

const newsIn = (listing) => listing.querySelector("[data-announced]")?.dataset.announced ?? "";

const newestIn = (listing) => listing.querySelector("tbody tr")?.id ?? "";

// Rows that move away would disturb a user who has scrolled, points at one, or has opened one or reached it by keyboard.
const isRead = (listing) =>
  listing.getBoundingClientRect().top < 0 || listing.matches(":hover") || listing.querySelector(":focus-visible") || document.querySelector("[data-close]");

// What is new but not shown yet, and the button that shows it.
let waiting = null;

const button = () => document.querySelector("[data-more]");

const hold = (html) => {
  waiting = html;
  button().textContent = newsIn(listingOf(html));
  button().parentElement.hidden = false;
};

// Put the server's newest rows in place of those that are shown.
const replace = (listing, html) => {
  waiting = null;
  button().parentElement.hidden = true;
  listing.innerHTML = html;
};

// Ask what is new. Return whether the server answered.
const ask = async (listing) => {
  const url = new URL(listing.dataset.news, location.href);
  url.searchParams.set("ends", listing.dataset.ends);
  url.searchParams.set("after", newestIn(listing));
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (answer.redirected || !answer.ok) return false;
  const html = answer.status === 204 ? "" : await answer.text();
  if (!listing.isConnected) return true;
  listing.dataset.ends = answer.headers.get("X-Log-Ends") ?? listing.dataset.ends;
  if (!html) return true;
  const words = newsIn(listingOf(html));
  if (!isRead(listing)) replace(listing, html);
  else if (words) hold(html);
  if (words) announce(words);
  return true;
};

// A page in the background asks nothing. A server that does not answer is asked less often.
const follow = async (pause) => {
  await new Promise((done) => setTimeout(done, pause));
  const listing = document.querySelector("[data-news]");
  const isAnswered = !listing || document.hidden || (await ask(listing).catch(() => false));
  listing?.classList.toggle("logs__list--lost", !isAnswered);
  follow(isAnswered ? PAUSE : Math.min(2 * pause, MOST));
};

follow(PAUSE);

document.addEventListener("click", (event) => {
  const listing = document.querySelector("[data-news]");
  if (event.target !== button() || !listing || waiting === null) return;
  replace(listing, waiting);
  listing.querySelector(".log__link")?.focus();
});

// The rows are links, so Tab reaches them and Enter opens them. The arrow keys go from one to the next.
const step = (link, places) => {
  const links = [...document.querySelectorAll(".log__link")];
  links[links.indexOf(link) + places]?.focus();
};

// Escape leaves a field, and otherwise closes the entry beside the table.
const leave = (target) => {
  if (target.matches("input, select, textarea")) target.blur();
  else document.querySelector("[data-close]")?.click();
};

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.defaultPrevented || event.isComposing || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (key === "Escape") leave(target);
  const places = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!places || !target.matches(".log__link")) return;
  event.preventDefault();
  step(target, places);
});
