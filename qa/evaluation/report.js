// Filters the questions. Without this script the page shows all of them. The state of the filters
// stands in the fragment (#filter=losses&category=...&text=...), so that a view can be linked.
"use strict";

const questions = [...document.querySelectorAll("article.question")];
const parts = [...document.querySelectorAll(".part")];
const buttons = [...document.querySelectorAll("[data-filter]")];
const category = document.getElementById("category");
const text = document.getElementById("text");
const count = document.getElementById("count");
const rest = document.getElementById("rest");
const texts = new Map();
const kept = {
  all: () => true,
  losses: (question) => question.dataset.verdict === "loss",
  wins: (question) => question.dataset.verdict === "win",
  refused: (question) => "refused" in question.dataset,
  errors: (question) => "failed" in question.dataset,
};

let filter = "all";
let openedByFilter = false;
let timer = 0;

function textOf(question) {
  if (!texts.has(question)) texts.set(question, question.textContent.toLowerCase());
  return texts.get(question);
}

function isFiltered() {
  return filter !== "all" || text.value.trim() !== "" || (category && category.value !== "");
}

function matches(question) {
  const wanted = text.value.trim().toLowerCase();
  return (
    kept[filter](question) &&
    (!category || category.value === "" || question.dataset.category === category.value) &&
    (wanted === "" || textOf(question).includes(wanted))
  );
}

// What a filter finds must not stay folded; without one, the rest folds again.
function unfold(matching) {
  if (!rest) return;
  const filtered = isFiltered();
  if (filtered && !rest.open && matching.some((question) => rest.contains(question))) {
    rest.open = true;
    openedByFilter = true;
  } else if (!filtered && openedByFilter) {
    rest.open = false;
    openedByFilter = false;
  }
}

function tell() {
  const matching = questions.filter((question) => !question.hidden);
  const folded = rest && !rest.open ? matching.filter((q) => rest.contains(q)).length : 0;
  const shown = matching.length - folded;
  const noun = questions.length === 1 ? "question" : "questions";
  const more = folded ? ", " + folded + " folded at the end" : "";
  count.textContent = shown + " of " + questions.length + " " + noun + " shown" + more;
}

function show() {
  for (const question of questions) question.hidden = !matches(question);
  const matching = questions.filter((question) => !question.hidden);
  for (const part of parts) {
    part.hidden = isFiltered() && !matching.some((question) => part.contains(question));
  }
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(button.dataset.filter === filter));
  }
  unfold(matching);
  tell();
}

function write() {
  const state = new URLSearchParams();
  if (filter !== "all") state.set("filter", filter);
  if (category && category.value) state.set("category", category.value);
  if (text.value.trim()) state.set("text", text.value.trim());
  const fragment = state.toString() ? "#" + state : "";
  try {
    history.replaceState(null, "", location.pathname + location.search + fragment);
  } catch {
    // A sandboxed frame may not: the filter works, its view cannot be linked.
  }
}

function read() {
  const fragment = location.hash.slice(1);
  if (fragment && !/^(filter|category|text)=/.test(fragment)) return; // a place on the page
  const state = new URLSearchParams(fragment);
  const wanted = state.get("filter");
  filter = Object.hasOwn(kept, wanted ?? "") ? wanted : "all";
  if (category) {
    category.value = state.get("category") ?? "";
    if (category.selectedIndex < 0) category.value = "";
  }
  text.value = state.get("text") ?? "";
}

function change() {
  show();
  write();
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    filter = button.dataset.filter;
    change();
  });
}
if (category) category.addEventListener("change", change);
text.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(change, 150);
});
const form = document.getElementById("filters");
form.addEventListener("submit", (event) => {
  event.preventDefault();
  change();
});
if (rest) rest.addEventListener("toggle", tell);
addEventListener("hashchange", () => {
  read();
  show();
});

form.hidden = false;
read();
show();
