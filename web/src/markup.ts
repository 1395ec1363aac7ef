// An answer's text as nodes: emphasis, lists and code, everything else as it stands. Nothing is ever
// parsed as HTML, and an address is text: what a document made a model say leads nowhere.

import { visible } from "./dom";

const OPEN = "\uE000";
const CLOSE = "\uE001";
const INLINE =
  /\uE000(\d+)\uE001|`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\n]+)\*|!?\[([^\]\n]*)\]\(([^()\s]+)\)/g;
const ITEM = /^\s*(?:([-*•])|(\d+)[.)])\s+/;

export type Marker = (number: number) => Node;

// Puts a sign for each marker behind the claim that it proves; `answer_end` counts code points.
export function withMarkers(text: string, places: { marker: number; answer_end: number }[]): string {
  const points = [...text].map((c) => (c === OPEN || c === CLOSE ? "\uFFFD" : c));
  const seen = new Set<string>();
  for (const { marker, answer_end: end } of places) {
    const at = Math.min(Math.max(end, 1), points.length) - 1;
    if (points[at] === undefined || seen.has(`${marker}@${at}`)) continue;
    seen.add(`${marker}@${at}`);
    points[at] += `${OPEN}${marker}${CLOSE}`;
  }
  return points.join("");
}

export function render(text: string, marker: Marker): DocumentFragment {
  const out = document.createDocumentFragment();
  let list = null as HTMLElement | null;
  let code: HTMLElement | null = null;
  let paragraph: HTMLElement | null = null;
  for (const line of visible(text).split("\n")) {
    if (line.trimStart().startsWith("```")) {
      code = code ? null : out.appendChild(document.createElement("pre"));
      list = paragraph = null;
    } else if (code) {
      code.append(`${line.replace(/\uE000\d+\uE001/g, "")}\n`);
    } else if (ITEM.test(line)) {
      const kind = ITEM.exec(line)?.[2] ? "ol" : "ul";
      if (list?.localName !== kind) list = out.appendChild(document.createElement(kind));
      inline(list.appendChild(document.createElement("li")), line.replace(ITEM, ""), marker);
      paragraph = null;
    } else if (line.trim()) {
      if (paragraph) paragraph.append(document.createElement("br"));
      else paragraph = out.appendChild(document.createElement("p"));
      inline(paragraph, line, marker);
      list = null;
    } else {
      list = paragraph = null;
    }
  }
  return out;
}

function inline(into: HTMLElement, text: string, marker: Marker): void {
  let past = 0;
  for (const found of text.matchAll(INLINE)) {
    const [all, number, code, strong, em, label, target] = found;
    into.append(text.slice(past, found.index));
    past = found.index + all.length;
    if (number) into.append(marker(Number(number)));
    else if (code) tag(into, "code").append(code);
    else if (strong) inline(tag(into, "strong"), strong, marker);
    else if (em) inline(tag(into, "em"), em, marker);
    else if (all.startsWith("!") || !target) into.append(label || all);
    else into.append(label && label !== target ? `${label} (${target})` : target);
  }
  into.append(text.slice(past));
}

function tag(into: HTMLElement, name: string): HTMLElement {
  return into.appendChild(document.createElement(name));
}

export function link(into: Node, label: string, target: string): HTMLAnchorElement {
  const a = document.createElement("a");
  a.textContent = visible(label);
  a.href = target;
  a.target = "_blank";
  a.rel = "noopener noreferrer";
  into.appendChild(a);
  return a;
}
