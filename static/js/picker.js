// The search among checkboxes grouped in <details>: <input data-find="id of the list">. What it does not find is hidden but
// stays ticked. Each group counts what is ticked, and shows the highest risk of it.

const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

const find = (list, wanted) => {
  const groups = [...list.querySelectorAll("details:not(.picker__rest)")];
  for (const group of groups) {
    const name = group.querySelector("summary > :first-child").textContent;
    const boxes = [...group.querySelectorAll("label")];
    for (const box of boxes) {
      const text = `${name} ${box.textContent}`.toLowerCase();
      box.hidden = !wanted.every((word) => text.includes(word));
    }
    group.hidden = boxes.every((box) => box.hidden);
    group.open = !group.hidden && (wanted.length > 0 || boxes.some((box) => box.querySelector(":checked")));
  }
  const rest = list.querySelector(".picker__rest");
  if (rest) {
    rest.hidden = !rest.querySelector("details:not([hidden])");
    rest.open = Boolean(rest.querySelector("details[open]"));
  }
  list.querySelector("[data-none]").hidden = groups.some((group) => !group.hidden);
};

const RISKS = ["low", "standard", "high", "critical"];
const level = (risk) => RISKS.findIndex((name) => risk.classList.contains(`risk--${name}`));

const count = (group) => {
  const boxes = [...group.querySelectorAll('[type=checkbox]:not([value$=".*"])')]; // a pattern is all of its group
  const numbers = { ticked: boxes.filter((box) => box.checked).length, all: boxes.length };
  const tally = group.closest("[data-count]").dataset.count;
  group.querySelector("summary > :nth-child(2)").textContent = tally.replace(/%\((\w+)\)s/g, (_, name) => numbers[name]);
  const [risk] = [...group.querySelectorAll("label:has(:checked) .risk")].sort((one, other) => level(other) - level(one));
  group.querySelector("summary > .risk")?.remove();
  if (risk) group.querySelector("summary").append(risk.cloneNode(true));
};

const search = ({ dataset, value }) => find(document.getElementById(dataset.find), words(value));

// What was typed before this ran.
for (const field of document.querySelectorAll("[data-find]")) if (field.value) search(field);

document.addEventListener("input", ({ target }) => {
  if (target.dataset.find) search(target);
  else if (target.closest(".picker details")) count(target.closest("details"));
});

// Enter would send the form around the search. In other fields, it presses the button that `data-enter` names.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.dataset.find) event.preventDefault();
});

document.addEventListener("submit", (event) => {
  const name = event.submitter?.dataset.enter;
  if (!name) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  setTimeout(() => event.target.requestSubmit(event.target.querySelector(`[name="${name}"]`))); // later: it is being sent
}, true);
