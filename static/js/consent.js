// Count what is ticked: in each group, and beside the decision.

const tally = (element) => {
  const form = document.getElementById("decide");
  const boxes = [...(element.dataset.of ? form : element.closest("details")).querySelectorAll("[name=scopes]")];
  const numbers = { ticked: boxes.filter((box) => box.checked).length, all: boxes.length };
  element.textContent = element.dataset.tally.replace(/%\((\w+)\)s/g, (_, name) => numbers[name]);
};

const tallyAll = () => document.querySelectorAll("[data-tally]").forEach(tally);

document.addEventListener("change", tallyAll);
tallyAll();
