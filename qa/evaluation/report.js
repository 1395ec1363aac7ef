"use strict";
// Filters over questions that are there without a script; their state is in the address.
const cards = [...document.querySelectorAll(".question")];
const bar = document.querySelector(".filters");
const buttons = [...bar.querySelectorAll("button")];
const category = bar.querySelector("select");
const search = bar.querySelector("input");
const count = bar.querySelector("[aria-live]");

function read() {
  const state = new URLSearchParams(location.hash.slice(1));
  return {
    filter: state.get("filter") || "all",
    category: state.get("category") || "",
    text: state.get("text") || "",
  };
}

function show() {
  const state = read();
  const words = state.text.toLowerCase();
  let shown = 0;
  for (const card of cards) {
    const fits =
      (state.filter === "all" || card.dataset.kinds.split(" ").includes(state.filter)) &&
      (state.category === "" || card.dataset.category === state.category) &&
      (words === "" || card.textContent.toLowerCase().includes(words));
    card.hidden = !fits;
    if (fits) shown += 1;
  }
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(button.value === state.filter));
  }
  category.value = state.category;
  if (search.value !== state.text) search.value = state.text;
  count.textContent = `${shown} of ${cards.length} questions shown`;
}

function change(part) {
  const state = { ...read(), ...part };
  const told = Object.entries(state).filter(([, v]) => v !== "" && v !== "all");
  history.replaceState(null, "", `#${new URLSearchParams(told)}`);
  show();
}

for (const button of buttons) {
  button.addEventListener("click", () => change({ filter: button.value }));
}
category.addEventListener("change", () => change({ category: category.value }));
search.addEventListener("input", () => change({ text: search.value }));
addEventListener("hashchange", show);
bar.hidden = false;
show();
