// The keyboard in the developer's log.

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
