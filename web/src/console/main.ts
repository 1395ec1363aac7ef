// The console: five views of one collection, each at its own #/address.

import type { Turn } from "../answers";
import { element } from "../dom";
import * as documents from "./documents";
import * as embed from "./embed";
import * as evidence from "./evidence";
import * as judged from "./judged";
import { attempt, count, find } from "./page";
import * as search from "./search";
import { server } from "./server";
import type { Collection } from "./server";

const VIEWS = ["ask", "documents", "search", "feedback", "embed"] as const;
const READY_EVERY_MS = 2_000;
const KEY = "footnote:collection";
const GREETING =
  "Ask what the documents say. Every answer shows the passages that it stands on; what they do not say is refused.";

const select = find<HTMLSelectElement>("#collection");
const chat = find<HTMLElement>("#chat");
const status = find<HTMLElement>("#status");
let collections: Collection[] = [];
let waitingFor: string | null = null;
let refreshing = Promise.resolve();

type View = (typeof VIEWS)[number];

function current(): View {
  const named = location.hash.replace(/^#\//, "");
  return VIEWS.find((view) => view === named) ?? "ask";
}

async function showView(): Promise<void> {
  const view = current();
  for (const section of document.querySelectorAll<HTMLElement>("[data-view]")) {
    section.hidden = section.dataset.view !== view;
  }
  for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
    link.ariaCurrent = link.getAttribute("href") === `#/${view}` ? "page" : null;
  }
  document.body.dataset.showing = view;
  document.title = `${view[0]?.toUpperCase()}${view.slice(1)} · Footnote`;
  if (view !== "embed") embed.hide();
  const name = select.value;
  if (view === "documents") await documents.show(name);
  if (view === "feedback") await judged.show(name);
  if (view === "embed") await embed.show(name);
}

// The collection that was chosen last, if it is still there.
async function refresh(wanted = select.value || recall()): Promise<void> {
  collections = await server.collections();
  select.replaceChildren(
    ...collections.map((c) => {
      const option = element("option", "", `${c.name} (${count(c.documents, "document")})`);
      option.value = c.name;
      return option;
    }),
  );
  find<HTMLElement>("#collections").replaceChildren(
    ...collections.map((c) => {
      const option = element("option");
      option.value = c.name;
      return option;
    }),
  );
  const known = collections.some((c) => c.name === wanted);
  select.value = known ? wanted : "default";
}

function recall(): string {
  try {
    return localStorage.getItem(KEY) ?? "default";
  } catch (error) {
    if (error instanceof DOMException) return "default"; // storage is forbidden here
    throw error;
  }
}

function remember(name: string): void {
  try {
    localStorage.setItem(KEY, name);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

async function choose(): Promise<void> {
  remember(select.value);
  openChat();
  search.clear();
  await showView();
}

// An element keeps to one collection, as a page's does; another collection is another conversation.
function openChat(): void {
  const made = document.createElement("footnote-chat");
  Object.assign(made.dataset, { explain: "", language: "en", collection: select.value, greeting: GREETING });
  chat.replaceChildren(made);
  showNoEvidence();
}

function showNoEvidence(): void {
  waitingFor = null;
  const asked = select.value;
  const total = collections.find((c) => c.name === asked)?.documents ?? 0;
  evidence.showNothing(total);
  void attempt(async () => {
    const listed = total ? await server.documents(asked) : [];
    if (asked === select.value && evidence.isEmpty()) evidence.showNothing(total, listed);
  });
}

function listen(): void {
  chat.addEventListener("footnote-start", (event) => {
    const { lookedUp } = (event as CustomEvent<{ lookedUp: string }>).detail;
    void attempt(async () => {
      const asked = select.value;
      const passages = await server.search(lookedUp, asked, 8);
      if (waitingFor === lookedUp && asked === select.value) evidence.showWaiting(lookedUp, passages);
    });
    waitingFor = lookedUp;
  });
  chat.addEventListener("footnote-clear", showNoEvidence);
  for (const name of ["footnote-answer", "footnote-explain"]) {
    chat.addEventListener(name, (event) => {
      waitingFor = null;
      evidence.showTurn((event as CustomEvent<Turn>).detail);
      if (name !== "footnote-explain") return;
      const panel = find<HTMLElement>("#evidence");
      panel.scrollTop = 0;
      panel.scrollIntoView({ block: "start" });
      panel.focus({ preventScroll: true });
    });
  }
}

async function watchReadiness(): Promise<void> {
  const waiting = await server.waiting();
  status.textContent = waiting.length ? `Loading the ${waiting.map((w) => ({ embedder: "search" })[w] ?? w).join(" and the ")}…` : "";
  if (waiting.length) setTimeout(() => void attempt(watchReadiness), READY_EVERY_MS);
}

async function begin(): Promise<void> {
  documents.connect((name) => {
    // One after the other: of two lists that were asked for at once, the older might arrive last.
    refreshing = refreshing.then(() =>
      attempt(async () => {
        const before = select.value;
        await refresh(name);
        if (before !== select.value) await choose();
        else await showView();
      }),
    );
  });
  search.connect(() => select.value);
  judged.connect();
  embed.connect();
  listen();
  select.addEventListener("change", () => void attempt(choose));
  addEventListener("hashchange", () => {
    void attempt(showView);
    find<HTMLElement>(`[data-view=${current()}] h1`).focus();
  });
  await refresh();
  await choose();
  await watchReadiness();
}

void attempt(begin);
