// Making a widget, with a live preview of how it will look, and the line for the page.

import { element } from "../dom";
import { attempt, button, confirm, copyButton, find } from "./page";
import { server } from "./server";
import type { Widget } from "./server";

const form = find<HTMLFormElement>("#looks");
const stage = find<HTMLElement>("#stage");
const said = find<HTMLElement>("#embed-said");
const list = find<HTMLElement>("#widgets");
let collection = "";
let drawing = 0;

interface Chat extends HTMLElement {
  open(): void;
}

export function connect(): void {
  form.addEventListener("input", () => {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(preview);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    said.textContent = "";
    void attempt(async () => {
      await server.createWidget({
        collection,
        origins: lines("origins"),
        per_minute: Number(value("per_minute")),
        looks: {
          title: value("title") || null,
          greeting: value("greeting") || null,
          starters: lines("starters"),
          accent: value("accent"),
          position: value("position"),
          language: value("language") || null,
        },
      });
      said.textContent = "Created. Its line for the site's pages is the first one below.";
      await draw();
      find<HTMLElement>("code", list).focus();
    });
  });
}

export async function show(name: string): Promise<void> {
  collection = name;
  preview();
  await draw();
}

export function hide(): void {
  stage.querySelector("footnote-chat")?.remove();
}

const value = (name: string): string => String(new FormData(form).get(name) ?? "").trim();
const lines = (name: string): string[] =>
  value(name).split("\n").map((line) => line.trim()).filter(Boolean);

function preview(): void {
  hide();
  const chat = document.createElement("footnote-chat") as Chat;
  chat.setAttribute("floating", "");
  // A preview keeps nothing: it would show the conversation of the view "Ask".
  Object.assign(chat.dataset, { collection, forget: "", accent: value("accent"), position: value("position") });
  for (const name of ["title", "greeting", "language"]) {
    if (value(name)) chat.dataset[name] = value(name);
  }
  if (lines("starters").length) chat.dataset.starters = lines("starters").join("|");
  const focused = document.activeElement;
  stage.append(chat);
  chat.open();
  if (focused instanceof HTMLElement) focused.focus();
}

async function draw(): Promise<void> {
  const widgets = (await server.widgets()).filter((w) => w.collection === collection).reverse();
  list.replaceChildren(...widgets.map(line));
  if (!widgets.length) list.append(element("li", "faint", "None yet for this collection."));
}

function line(widget: Widget): HTMLElement {
  const made = element("li", "passage");
  const code = element("code", "", widget.snippet);
  code.tabIndex = 0;
  const sites = widget.origins.join(", ") || "no site";
  const facts = element("p", "scores");
  facts.append(element("span", "", sites), element("span", "", `${widget.per_minute} questions a minute`));
  const actions = element("p", "row");
  const revoke = button("Revoke", () => {
    confirm("Revoke this widget?", `${widget.id} (${sites})`, "Pages that hold it can ask nothing from then on.", "Revoke", async () => {
      await server.revoke(widget.id);
      await draw();
    });
  }, "danger");
  revoke.ariaLabel = `Revoke ${widget.id}`;
  actions.append(copyButton(() => widget.snippet), revoke);
  made.append(code, facts, actions);
  return made;
}
