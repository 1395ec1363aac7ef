// Marks the span that the fragment names and scrolls to it. Offsets count code points; the DOM
// counts UTF-16 units, so they are converted here and nowhere else.
"use strict";

const source = document.getElementById("text").textContent;
const idle = document.getElementById("place").textContent;

// Control characters, and those that show nothing or turn the text around them.
const INVISIBLE =
  /[\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\u034f\u061c\u115f\u1160\u200b\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e0fff}]/gu;
const hidden = source.match(INVISIBLE)?.length ?? 0;
const visible = (text) => text.replace(INVISIBLE, "");
const note = hidden ? ", " + hidden + " of them invisible and left out here" : "";

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
  pre.replaceChildren(visible(source));
  place.textContent = idle + note;
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
  mark.textContent = visible(source.slice(from, to));
  pre.replaceChildren(visible(source.slice(0, from)), mark, visible(source.slice(to)));
  place.textContent = "Highlighted: characters " + start + "–" + end + " of " + idle + note;
  mark.scrollIntoView({ block: "center" });
  mark.focus({ preventScroll: true });
}

// In a frame Escape closes what holds it; a frame cannot, so it says so, and nothing else.
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && parent !== window) parent.postMessage("footnote:close", "*");
});
addEventListener("hashchange", show);
show();
