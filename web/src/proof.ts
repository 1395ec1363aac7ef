// An answer as it is shown: its text with footnotes that unfold their quotes, or why there is none.

import { address } from "./answers";
import type { Answer, Citation, Passage, Place } from "./answers";
import { element, iconButton, ICONS, name } from "./dom";
import { link, render, withMarkers } from "./markup";
import { fill } from "./words";
import type { Words } from "./words";

const EXCERPT = 280;

// What is needed to show an answer; `frame` is where a document opens, `follow` scrolls to the end.
export interface Showing {
  words: Words;
  place: Place;
  frame: HTMLElement;
  follow: () => void;
}

export function showAnswer(into: HTMLElement, answer: Answer, showing: Showing): void {
  (answer.answered ? showProven : showRefusal)(into, answer, showing);
}

function showProven(into: HTMLElement, answer: Answer, showing: Showing): void {
  const figures = new Map<number, HTMLElement>();
  for (const citation of answer.citations) {
    const figure = quoted(citation.quote, citation, showing);
    figure.hidden = true;
    figures.set(citation.marker, figure);
  }
  const text = withMarkers(answer.answer, answer.citations);
  into.replaceChildren(
    render(text, (number) => mark(number, figures.get(number), answer.citations, showing)),
    ...figures.values(),
  );
}

function mark(number: number, figure: HTMLElement | undefined, citations: Citation[], showing: Showing): Node {
  if (!figure) return document.createTextNode("");
  const button = element("button", "mark", String(number));
  button.type = "button";
  const title = citations.find((c) => c.marker === number)?.title ?? "";
  button.ariaLabel = `${fill(showing.words.source, number)}: ${title}`;
  button.ariaExpanded = "false";
  button.setAttribute("aria-controls", name(figure));
  let pinned = false;
  const show = (shown: boolean): void => {
    figure.hidden = !shown;
    button.ariaExpanded = String(shown);
  };
  button.addEventListener("click", () => {
    pinned = !pinned;
    show(pinned);
    if (pinned) showing.follow();
  });
  button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(true));
  button.addEventListener("pointerleave", () => show(pinned));
  return button;
}

function quoted(quote: string, from: Citation | Passage, showing: Showing): HTMLElement {
  const figure = element("figure");
  const words = element("blockquote", "", quote);
  words.dir = "auto";
  const caption = element("figcaption");
  const place = [from.title, from.page === null ? "" : fill(showing.words.page, from.page), from.section ?? ""];
  caption.append(place.filter(Boolean).join(" · "), " ");
  const target = address(showing.place, from.url);
  link(caption, showing.words.inDocument, target).addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    openDocument(from.title, target, showing);
  });
  figure.append(words, caption);
  return figure;
}

function openDocument(title: string, target: string, { words, frame }: Showing): void {
  const dialog = element("dialog");
  const head = element("div", "head");
  const heading = element("h2", "", title);
  dialog.setAttribute("aria-labelledby", name(heading));
  head.append(heading);
  link(head, words.newTab, target);
  head.append(iconButton(ICONS.close, words.close, () => dialog.close()));
  const shown = element("iframe");
  shown.title = title;
  shown.src = target;
  dialog.append(head, shown);
  // The keyboard is the frame's while it has the focus; it says when Escape was pressed there.
  const onMessage = (event: MessageEvent): void => {
    if (event.source === shown.contentWindow && event.data === "footnote:close") dialog.close();
  };
  addEventListener("message", onMessage);
  dialog.addEventListener("close", () => {
    removeEventListener("message", onMessage);
    dialog.remove();
  });
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  frame.append(dialog);
  dialog.showModal();
}

function showRefusal(into: HTMLElement, answer: Answer, showing: Showing): void {
  into.replaceChildren(element("p", "no", answer.reason?.code === "uncertain" ? showing.words.unsure : showing.words.refused));
  if (answer.reason) into.append(element("p", "", answer.reason.message));
  const nearest = answer.passages.slice(0, 3);
  if (!nearest.length) return;
  into.append(element("p", "faint", showing.words.nearest));
  for (const passage of nearest) {
    const points = [...passage.text];
    const text = points.length > EXCERPT ? `${points.slice(0, EXCERPT).join("")}…` : passage.text;
    into.append(quoted(text, passage, showing));
  }
}

// The answer as plain text with its footnotes under it.
export function writeOut(answer: Answer, place: Place): string {
  const marked = withMarkers(answer.answer, answer.citations);
  const text = marked.replace(/\uE000(\d+)\uE001/g, " [$1]");
  const notes = answer.citations.map(
    (c) => `[${c.marker}] “${c.quote}”\n    ${c.title}, ${new URL(c.url, place.server).href}`,
  );
  return [text, "", ...notes].join("\n");
}
