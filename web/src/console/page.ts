// What the views share: their places in the page, and telling what went wrong.

import { Failure } from "../answers";
import { element } from "../dom";

export function find<T extends Element>(selector: string, root: ParentNode = document): T {
  const found = root.querySelector<T>(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}

const trouble = find<HTMLElement>("#trouble");

// Does what may fail, and says so at the top of the page where it does.
export async function attempt(work: () => Promise<void>): Promise<void> {
  trouble.hidden = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    trouble.textContent = tell(error);
    trouble.hidden = false;
    trouble.scrollIntoView({ block: "nearest" });
  }
}

export function tell(failure: Failure): string {
  if (failure.detail) return failure.detail;
  if (failure.trouble === "busy") return `Many are asking just now. Try again in ${failure.seconds} seconds.`;
  if (failure.trouble === "down") return "The server cannot be reached. Is it running?";
  return "That did not work; the server's log says why.";
}

export function button(label: string, action: () => void, kind = ""): HTMLButtonElement {
  const made = element("button", kind, label);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

// Asks before what cannot be undone; `verb` is what is then done.
export function confirm(title: string, what: string, consequence: string, verb: string, work: () => Promise<void>): void {
  const dialog = find<HTMLDialogElement>("#confirm");
  find<HTMLElement>("h2", dialog).textContent = title;
  const [named, then] = dialog.querySelectorAll("p");
  if (named) named.textContent = what;
  if (then) then.textContent = consequence;
  find<HTMLElement>(".danger", dialog).textContent = verb;
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue) void attempt(work);
  };
  dialog.showModal();
}

export function copyButton(text: () => string): HTMLButtonElement {
  const made = button("Copy", () => {
    void navigator.clipboard.writeText(text()).then(() => (made.textContent = "Copied"));
  });
  // Browsers have no clipboard on pages that came over plain HTTP from another machine.
  made.hidden = !("clipboard" in navigator);
  return made;
}

export function opening(label: string, url: string): HTMLAnchorElement {
  const link = element("a", "", label);
  link.href = url;
  link.target = "_blank";
  link.rel = "noopener";
  return link;
}

export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const when = (iso: string): HTMLTimeElement => {
  const time = element("time", "", new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }));
  time.dateTime = iso;
  return time;
};
