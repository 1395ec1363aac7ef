// The documents: adding them by drag and drop, with progress; replacing, deleting.

import { Failure } from "../answers";
import { element } from "../dom";
import { button, confirm, count, find, opening, tell, when } from "./page";
import { server } from "./server";
import type { DocumentRecord } from "./server";
import { upload } from "./uploads";
import type { Sending } from "./uploads";

const MOST_ROWS = 500;
const FILTER_FROM = 10;

const drop = find<HTMLElement>("#drop");
const files = find<HTMLInputElement>("#files");
const into = find<HTMLInputElement>("#into");
const paste = find<HTMLFormElement>("#paste");
const uploads = find<HTMLElement>("#uploads");
const said = find<HTMLElement>("#documents-count");
const filter = find<HTMLInputElement>("#filter");
const table = find<HTMLTableElement>("#documents");
const rows = find<HTMLElement>("tbody", table);
const replacement = find<HTMLInputElement>("#replacement");

let collection = "";
let listed: DocumentRecord[] = [];
let changed: (collection: string) => void = () => undefined;
let queue: Promise<void> = Promise.resolve();
let replaced: DocumentRecord | undefined;

// `onChange` is told of the collection that holds something else now.
export function connect(onChange: (collection: string) => void): void {
  changed = onChange;
  files.addEventListener("change", () => {
    add([...(files.files ?? [])].map((file) => ({ file, collection: target() })));
    files.value = "";
  });
  paste.addEventListener("submit", (event) => {
    event.preventDefault();
    const { title, text } = Object.fromEntries(new FormData(paste)) as { title: string; text: string };
    const file = new File([text], `${title.replace(/[/\\]/g, "-")}.txt`, { type: "text/plain" });
    add([{ file, collection: target(), title }]);
    paste.reset();
  });
  replacement.addEventListener("change", () => {
    const [file] = replacement.files ?? [];
    if (file && replaced) add([{ file, collection: replaced.collection, source: replaced.source }]);
    replacement.value = "";
  });
  filter.addEventListener("input", draw);
  takeDrops();
}

export async function show(name: string): Promise<void> {
  if (name !== collection) into.value = filter.value = "";
  collection = name;
  into.placeholder = name;
  listed = await server.documents(name);
  draw();
}

const target = (): string => into.value.trim() || collection;

// Wherever on the page a file is dropped: else the browser would leave the page and open it.
function takeDrops(): void {
  let depth = 0;
  const holds = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  const mark = (): void => {
    drop.classList.toggle("over", depth > 0);
  };
  addEventListener("dragenter", (event) => {
    if (!holds(event)) return;
    depth += 1;
    location.hash = "#/documents";
    mark();
  });
  addEventListener("dragleave", (event) => {
    if (!holds(event)) return;
    depth -= 1;
    mark();
  });
  addEventListener("dragover", (event) => holds(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    depth = 0;
    mark();
    add([...(event.dataTransfer?.files ?? [])].map((file) => ({ file, collection: target() })));
  });
}

// One after the other, as the server reads them.
function add(all: Sending[]): void {
  for (const sending of all) {
    const line = element("li");
    uploads.prepend(line);
    describe(line, sending, "waiting");
    queue = queue.then(() => run(line, sending));
  }
}

async function run(line: HTMLElement, sending: Sending): Promise<void> {
  const bar = element("progress");
  bar.ariaLabel = sending.file.name;
  try {
    const done = await upload(sending, (what, share) => {
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
      const words = { sending: "sending", waiting: "waiting for its turn", reading: "making it searchable" }[what];
      describe(line, sending, share === null ? words : `${words}, ${Math.round(share * 100)} %`, bar);
    });
    const outcome = { created: "added", replaced: "replaced its old version", unchanged: "was here already" };
    describe(line, sending, outcome[done.outcome], opening("Open", done.document.url));
    line.classList.add("done");
    changed(sending.collection);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    line.classList.add("failed");
    const again = button("Try again", () => {
      line.remove();
      add([sending]);
    });
    describe(line, sending, tell(error), error.lasting ? undefined : again);
  }
}

function describe(line: HTMLElement, sending: Sending, state: string, more?: HTMLElement): void {
  const name = element("strong", "", sending.source ?? sending.title ?? sending.file.name);
  line.replaceChildren(name, element("span", "", state), ...(more ? [more] : []));
}

function draw(): void {
  const wanted = filter.value.trim().toLowerCase();
  const chosen = listed.filter((d) => !wanted || `${d.title}\n${d.source}`.toLowerCase().includes(wanted));
  find<HTMLElement>("#filter-label").hidden = listed.length < FILTER_FROM;
  table.hidden = !chosen.length;
  const shown = Math.min(chosen.length, MOST_ROWS);
  said.textContent = [
    count(listed.length, "document"),
    wanted && `${chosen.length} with “${filter.value.trim()}”`,
    shown < chosen.length && `the first ${shown} are shown`,
  ]
    .filter(Boolean)
    .join(", ");
  rows.replaceChildren(...chosen.slice(0, MOST_ROWS).map(row));
}

function row(record: DocumentRecord): HTMLElement {
  const line = element("tr");
  const cell = (label: string, kind: string, ...what: (Node | string)[]): void => {
    const made = element("td", kind);
    made.dataset.label = label;
    made.append(...what);
    line.append(made);
  };
  cell("Title", "title", opening(record.title, record.url));
  cell("Source", "", record.source);
  cell("Characters", "number", record.characters.toLocaleString("en"));
  cell("Passages", "number", record.passages.toLocaleString("en"));
  cell("Updated", "", when(record.updated_at));
  const replace = button("Replace", () => {
    replaced = record;
    replacement.click();
  });
  replace.ariaLabel = `Replace ${record.title}`;
  const remove = button("Delete", () => confirmDelete(record), "danger");
  remove.ariaLabel = `Delete ${record.title}`;
  cell("", "actions", replace, " ", remove);
  return line;
}

function confirmDelete(record: DocumentRecord): void {
  const what = `${record.title} (${record.source})`;
  confirm("Delete this document?", what, "It will not be found any more, and no answer will cite it.", "Delete", async () => {
    await server.remove(record.id);
    changed(record.collection);
  });
}
