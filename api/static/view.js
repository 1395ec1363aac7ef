// Marks the span that the fragment names and scrolls to it. Offsets count code points; the DOM
// counts UTF-16 units, so they are converted here and nowhere else.
"use strict";

const source = document.getElementById("text").textContent;
const idle = document.getElementById("place").textContent;

function toUnits(text, codePoints) {
  let units = 0;
  for (let left = codePoints; left > 0 && units < text.length; left -= 1) {
    units += text.codePointAt(units) > 0xffff ? 2 : 1;
  }
  return units;
}

function show() {
  const pre = document.getElementById("text");
  const place = document.getElementById("place");
  const found = /^#(\d+)-(\d+)$/.exec(location.hash);
  pre.replaceChildren(source);
  place.textContent = idle;
  if (!found) return;
  const [start, end] = [Number(found[1]), Number(found[2])];
  const from = toUnits(source, start);
  const to = from + toUnits(source.slice(from), end - start);
  if (to <= from) {
    place.textContent = "This document has no text at " + start + "–" + end + ".";
    return;
  }
  const mark = document.createElement("mark");
  mark.id = "span";
  mark.tabIndex = -1;
  mark.textContent = source.slice(from, to);
  pre.replaceChildren(source.slice(0, from), mark, source.slice(to));
  place.textContent = "Highlighted: characters " + start + "–" + end + " of " + idle;
  mark.scrollIntoView({ block: "center" });
  mark.focus({ preventScroll: true });
}

// In a frame Escape closes what holds it; a frame cannot, so it says so, and nothing else.
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && parent !== window) parent.postMessage("footnote:close", "*");
});
addEventListener("hashchange", show);
show();
