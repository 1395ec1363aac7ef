// Thumbs up and down, and room for a word on why.

import { Failure } from "./answers";
import type { Rating, Turn } from "./answers";
import { element, iconButton } from "./dom";
import type { Words } from "./words";

const THUMB = "M3 10h4v10H3zM9 20V10l4-7 2 1v6h6l-2 10z";
const MOST_CHARACTERS = 2000;

type Send = (rating: Rating, comment: string) => Promise<void>;

// Adds the thumbs to an answer's tools; gives the tools with what unfolds under them.
export function thumbs(tools: HTMLElement, words: Words, turn: Turn, send: Send): HTMLElement {
  const whole = element("div", "judge");
  const said = element("p", "faint");
  said.setAttribute("role", "status");
  const buttons = new Map<Rating, HTMLButtonElement>();
  const show = (rating: Rating | undefined): void => {
    for (const [name, button] of buttons) button.ariaPressed = String(name === rating);
  };
  const deliver = async (rating: Rating, comment: string): Promise<boolean> => {
    try {
      await send(rating, comment);
      show(rating);
      said.textContent = words.thanks;
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      said.textContent = error.trouble === "down" ? words.down : error.detail || words.failed;
      return false;
    }
  };
  const press = async (rating: Rating): Promise<void> => {
    whole.querySelector("form")?.remove();
    // A judgement replaces the one before: what was said goes with it again.
    if (!(await deliver(rating, turn.comment ?? ""))) return;
    const form = commentForm(words, (comment) => deliver(rating, comment));
    said.before(form);
    // Focus alone leaves what is half in sight where it is.
    whole.scrollIntoView({ block: "nearest" });
    form.querySelector("textarea")?.focus();
  };
  for (const [rating, label] of [["up", words.good], ["down", words.bad]] as const) {
    const button = iconButton(THUMB, label, () => void press(rating));
    button.classList.add(rating);
    buttons.set(rating, button);
  }
  tools.prepend(...buttons.values());
  show(turn.rating);
  whole.append(tools, said);
  return whole;
}

function commentForm(words: Words, send: (comment: string) => Promise<boolean>): HTMLFormElement {
  const form = element("form", "comment");
  const text = element("textarea");
  text.rows = 1;
  text.maxLength = MOST_CHARACTERS;
  text.dir = "auto";
  text.placeholder = text.ariaLabel = words.comment;
  const button = element("button", "", words.send);
  button.type = "submit";
  form.append(text, button);
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const comment = text.value.trim();
    if (comment) void send(comment).then((done) => done && form.remove());
  });
  return form;
}
