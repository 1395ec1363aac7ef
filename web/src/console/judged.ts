// What people thought of answers.

import { element } from "../dom";
import { REASONS } from "./evidence";
import { attempt, button, count, find, opening, when } from "./page";
import { server } from "./server";
import type { Judged } from "./server";

const MOST = 200;
const rating = find<HTMLSelectElement>("#rating");
const said = find<HTMLElement>("#judged-count");
const list = find<HTMLElement>("#judged");
let collection = "";

export function connect(): void {
  rating.addEventListener("change", () => void attempt(() => show(collection)));
}

export async function show(name: string): Promise<void> {
  collection = name;
  find<HTMLAnchorElement>("#export").href = `/v1/feedback/questions?${new URLSearchParams({ collection: name })}`;
  const { total, feedback } = await server.judged(name, rating.value, MOST);
  const shown = feedback.length < total ? `, the newest ${feedback.length} are shown` : "";
  said.textContent = total ? `${count(total, "answer")} judged${shown}.` : "Nobody has judged an answer here yet.";
  list.replaceChildren(...feedback.map(line));
}

function line(judged: Judged): HTMLElement {
  const made = element("li", "passage");
  const head = element("h2", "", judged.question);
  const told = element("p", "text", judged.answered ? judged.answer : `Refused: ${REASONS[judged.reason ?? ""] ?? "the documents do not say"}`);
  head.dir = told.dir = "auto";
  const facts = element("p", "scores");
  facts.append(
    element("span", judged.rating === "up" ? "yes" : "no", judged.rating === "up" ? "helpful" : "not helpful"),
    when(judged.created_at),
    element("span", "", judged.model),
  );
  const version = element("details", "faint");
  version.append(element("summary", "", "Kept with it"), `Reason: ${judged.reason ?? "none"}. Version of the index: ${judged.index_version}.`);
  made.append(head, told);
  if (judged.comment) {
    const comment = element("blockquote", "", judged.comment);
    comment.dir = "auto";
    made.append(comment);
  }
  const actions = element("p", "row");
  judged.citations.forEach((c) => {
    actions.append(opening(`“${shorten(c.quote)}”`, `/documents/${c.document_id}/view#${c.start}-${c.end}`));
  });
  const forget = button("Forget", () => {
    void attempt(async () => {
      await server.forget(judged.answer_id);
      await show(collection);
    });
  });
  forget.ariaLabel = `Forget what was thought of “${judged.question}”`;
  actions.append(forget);
  made.append(facts, actions, version);
  return made;
}

const shorten = (text: string): string => (text.length > 60 ? `${[...text].slice(0, 60).join("")}…` : text);
