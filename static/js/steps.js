// The steps of the first run turn green while the page is open, once the log shows them.

const PAUSE = 3000;
const MOST = 60000;
const OPEN = ".start__step:not(.start__step--done)";
const FOCUSABLE = "a, button, [tabindex]";

const parts = (page) => [...page.querySelectorAll("[data-follow] > *")];

const htmlOf = (page) => parts(page).map((part) => part.outerHTML);

// What the server said last. Scripts change what is shown, such as the words of a button that has copied.
let said = htmlOf(document);

// Put the server's part in place of the one that is shown. What has the focus keeps it.
const replace = (old, next) => {
  const place = [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  old.replaceWith(next);
  next.querySelectorAll(FOCUSABLE)[place]?.focus({ preventScroll: true });
};

// Ask for the page again. Return whether the server answered with it. After the last step, the overview is in its place.
const ask = async () => {
  const url = location.href;
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [shown, current] = [parts(document), parts(page)];
  if (answer.redirected || !answer.ok) return false;
  if (location.href !== url) return true;
  if (current.length !== shown.length) {
    document.querySelector("[data-again]").click();
    return true;
  }
  const words = () => document.querySelector("[data-announce]").textContent;
  const [now, before] = [htmlOf(page), words()];
  shown.forEach((part, place) => {
    if (now[place] !== said[place]) replace(part, current[place]);
  });
  said = now;
  if (words() !== before) document.getElementById("announcer").textContent = words();
  return true;
};

const isOver = () => document.hidden || !document.querySelector(OPEN);

// A page in the background asks nothing, but at once when the user comes back to it.
document.addEventListener("visibilitychange", () => {
  if (!isOver()) ask().catch(() => {});
});

// A server that does not answer is asked less often.
const follow = async (pause) => {
  await new Promise((done) => setTimeout(done, pause));
  const isAnswered = isOver() || (await ask().catch(() => false));
  follow(isAnswered ? PAUSE : Math.min(2 * pause, MOST));
};

follow(PAUSE);
