// The developer's log: new entries while it is live, and Escape to close the entry beside it.

const PAUSE = 3000;
const MOST = 30000;

const announcer = () => document.getElementById("announcer");

// Put the server's newest rows in place of those that are shown, and leave the focus where it was.
const replace = (listing, html) => {
  const focused = listing.contains(document.activeElement) ? document.activeElement.id : "";
  listing.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  const words = listing.querySelector("[data-announced]")?.dataset.announced;
  if (words) announcer().textContent = words;
};

const newestIn = (listing) => listing.querySelector("tbody tr")?.id ?? "";

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
  if (html) replace(listing, html);
  return true;
};

// A page in the background asks nothing. A server that does not answer is asked less often.
const follow = async (pause) => {
  await new Promise((done) => setTimeout(done, pause));
  const listing = document.querySelector("[data-news]");
  const isAnswered = !listing || document.hidden || (await ask(listing).catch(() => false));
  follow(isAnswered ? PAUSE : Math.min(2 * pause, MOST));
};

follow(PAUSE);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) document.querySelector("[data-close]")?.click();
});
