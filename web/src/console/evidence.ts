// What an answer stands on: the passages found, what of them the model read, what was cited, and why.

import type { Answer, Passage, Turn } from "../answers";
import { element, visible } from "../dom";
import { count, find, opening } from "./page";
import type { DocumentRecord } from "./server";

const body = find<HTMLElement>("#evidence-body");

let empty = true;

// Whether it still says that nothing was asked.
export const isEmpty = (): boolean => empty;

export function showWaiting(lookedUp: string, passages: Passage[]): void {
  empty = false;
  const said = element("p", "verdict", "Reading");
  said.append(element("span", "faint", ` for “${lookedUp}”`));
  body.replaceChildren(said, ...passages.map((passage) => card(passage, null)));
}

export function showTurn({ question, answer }: Turn): void {
  empty = false;
  const cited = answer.passages.filter((p) => spans(p, answer.citations).length);
  const read = answer.passages.filter((p) => !cited.includes(p) && spans(p, answer.evidence).length);
  const others = answer.passages.filter((p) => !cited.includes(p) && !read.includes(p));
  body.replaceChildren(verdict(answer, cited.length), facts(question, answer));
  if (cited.length || read.length) body.append(legend(cited.length > 0));
  for (const passage of [...cited, ...read]) body.append(card(passage, answer));
  if (answer.explanation) body.append(estimated(answer.explanation));
  if (!others.length) return;
  const rest = element("details");
  const lead = cited.length + read.length ? "Found, but not read by the model" : "Nearest passages";
  rest.open = !cited.length && !read.length;
  rest.append(element("summary", "", `${lead} (${others.length})`), ...others.map((p) => card(p, answer)));
  body.append(rest);
}

const NAMED = 8;

export function showNothing(total: number, documents: DocumentRecord[] = []): void {
  empty = true;
  const said = element("p", "faint");
  if (!total) {
    const link = element("a", "", "Add some");
    link.href = "#/documents";
    said.append("This collection has no documents yet. ", link, ", then ask.");
    body.replaceChildren(said);
    return;
  }
  const named = element("ul", "faint");
  for (const { title, url } of documents.slice(0, NAMED)) {
    const line = element("li");
    line.append(opening(title, url));
    named.append(line);
  }
  const more = documents.length - NAMED;
  if (more > 0) named.append(element("li", "", `and ${more.toLocaleString("en")} more`));
  said.append(`Ask, and what the answer stands on appears here. This collection has ${count(total, "document")}.`);
  body.replaceChildren(said, named);
}

function verdict(answer: Answer, cited: number): HTMLElement {
  const both = answer.disagreement ? "; the documents disagree" : "";
  if (answer.answered) return element("p", "verdict yes", `Answered, citing ${count(cited, "passage")}${both}`);
  const said = element("p", "verdict no", "Refused: ");
  said.append(answer.reason?.message ?? "the documents do not say.");
  return said;
}

function facts(question: string, answer: Answer): HTMLElement {
  const { timings, usage } = answer;
  const list = element("dl");
  const add = (name: string, value: string): void => {
    list.append(element("dt", "", name), element("dd", "", value));
  };
  if (answer.question !== question) add("Looked up", answer.question);
  if (answer.reason) add("Reason", `${REASONS[answer.reason.code] ?? ""} (${answer.reason.code})`);
  if (answer.confidence) add("Chance to be right", `${Math.round(answer.confidence * 100)} %`);
  add("Model", answer.model);
  if (answer.cached) add("Known already", "this question was asked of the same documents before");
  else add("Found in", seconds(timings.retrieve));
  if (timings.first_token !== null) add("First word after", seconds(timings.first_token));
  add("Done after", seconds(timings.total));
  if (usage) add("Tokens", `${usage.input_tokens} read, ${usage.output_tokens} written`);
  return list;
}

// What a reason's code means, shorter than its message.
export const REASONS: Record<string, string> = {
  nothing_indexed: "no documents",
  name_not_in_evidence: "a name that was not found",
  number_not_in_evidence: "a number that was not found",
  not_stated: "the documents found do not say",
  unsupported_number: "a number that no passage proves",
  unsupported_name: "a name that no passage proves",
  unsupported_answer: "words that no passage proves",
  contradicted: "a passage says the opposite",
  uncertain: "too small a chance to be right",
};

const FEATURES: Record<string, string> = {
  held: "Share of the question's words read",
  numbers: "Numbers of the question not cited",
  negation: "A negation that is not cited",
  check: "The model's own yes or no, log-odds",
  stated: "The model finds it stated, log-odds",
  least: "Its least likely word, ln of the chance",
  similarity: "Nearest passage to the question, cosine",
  near: "Nearest passage cited to the question, by the verifier, cosine",
  whole: "The verifier finds an answer in a passage cited, log-odds",
  answerable: "The verifier finds an answer, log-odds",
};

function estimated(features: Record<string, number>): HTMLElement {
  const whole = element("details");
  const list = element("dl");
  for (const [name, value] of Object.entries(features)) {
    list.append(element("dt", "", FEATURES[name] ?? name), element("dd", "", value.toFixed(2)));
  }
  whole.append(element("summary", "", "What the chance was estimated from"), list);
  return whole;
}

function legend(cites: boolean): HTMLElement {
  const line = element("p", "faint");
  if (cites) line.append(element("mark", "", "cited"), " ");
  line.append(element("span", "read", "read by the model"));
  return line;
}

const seconds = (value: number): string => `${value < 1 ? Math.round(value * 1000) : value.toFixed(1)} ${value < 1 ? "ms" : "s"}`;

export function card(passage: Passage, answer: Answer | null): HTMLElement {
  const article = element("article", "passage");
  const head = element("h3", "", passage.title);
  const place = [passage.page === null ? "" : `page ${passage.page}`, passage.section ?? ""].filter(Boolean);
  if (place.length) head.append(element("span", "faint", ` · ${place.join(" · ")}`));
  const text = element("p", "text");
  text.dir = "auto";
  text.append(...marked(passage, answer));
  article.append(head, text, scores(passage), opening("Open in document", passage.url));
  return article;
}

export function scores(passage: Passage): HTMLElement {
  const list = element("p", "scores");
  const place = (rank: number | null): string => (rank === null ? "not among the best" : `place ${rank}`);
  list.append(
    element("span", "", `by meaning: ${place(passage.dense_rank)}, ${Math.round(passage.similarity * 100)} % alike`),
    element("span", "", `by words: ${place(passage.keyword_rank)}`),
    element("span", "", `together: ${passage.score.toFixed(4)}`),
  );
  return list;
}

// Lines that were broken in the middle of a sentence run on; paragraphs and lists stay.
export const flow = (text: string): string => text.replace(/(?<!\n)\n(?!\n|\s*(?:[-*•#|>]|\d+[.)]))/g, " ");

interface Range {
  document_id: string;
  start: number;
  end: number;
}

const spans = <T extends Range>(passage: Passage, all: T[]): T[] =>
  all.filter((s) => s.document_id === passage.document_id && s.start < passage.end && s.end > passage.start);

// Offsets count code points of the document; a string counts UTF-16 units.
function marked(passage: Passage, answer: Answer | null): Node[] {
  const text = flow(passage.text); // as long as it was, so that offsets stay
  const points = [...text];
  if (!answer) return [document.createTextNode(visible(text))];
  const kinds = new Array<string>(points.length).fill("");
  const paint = (kind: string, all: Range[]): void => {
    for (const span of spans(passage, all)) {
      const from = Math.max(0, span.start - passage.start);
      kinds.fill(kind, from, Math.max(from, span.end - passage.start));
    }
  };
  paint("read", answer.evidence);
  paint("cited", answer.citations);
  const nodes: Node[] = [];
  for (let at = 0; at < points.length; ) {
    let past = at + 1;
    while (past < points.length && kinds[past] === kinds[at]) past += 1;
    const piece = points.slice(at, past).join("");
    const kind = kinds[at];
    if (!kind) nodes.push(document.createTextNode(visible(piece)));
    else {
      const shown = element(kind === "cited" ? "mark" : "span", kind, piece);
      shown.title = kind === "cited" ? "Cited" : "Read by the model";
      nodes.push(shown);
    }
    at = past;
  }
  return nodes;
}
