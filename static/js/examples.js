// The example of an event type in place. Without this, the link opens its page in another tab.

const load = async (url) => {
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  const example = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("example");
  if (!example) throw new Error(`No example: ${answer.status}`);
  example.removeAttribute("id");
  return example;
};

const toggle = async (button, url) => {
  if (!button.nextElementSibling) button.after(await load(url));
  else button.nextElementSibling.hidden = !button.nextElementSibling.hidden;
  button.ariaExpanded = `${!button.nextElementSibling.hidden}`;
};

for (const link of document.querySelectorAll(".types li > a")) {
  const { ariaLabel, href, textContent } = link;
  const button = Object.assign(document.createElement("button"), { type: "button", ariaLabel, textContent, ariaExpanded: "false" });
  button.addEventListener("click", () => toggle(button, href).catch(() => window.open(href)));
  link.replaceWith(button);
}
