// Making elements: text is set as text, never as HTML.

export const ICONS = {
  chat: "M12 3C6.5 3 2 6.8 2 11.5c0 2.4 1.2 4.6 3.1 6.1L4.5 21l4-2c1.1.3 2.3.5 3.5.5 5.5 0 10-3.8 10-8.5S17.500 3 12 3z",
  close: "M5 6.4 6.400 5 12 10.600 17.600 5 19 6.400 13.400 12 19 17.600 17.600 19 12 13.400 6.400 19 5 17.600 10.600 12z",
  fresh: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
};
// Control characters, and those that show nothing or turn the text around them; joiners and marks
// that scripts are written with stay.
const INVISIBLE =
  /[\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\u034f\u061c\u115f\u1160\u200b\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e0fff}]/gu;
let serial = 0;

export const visible = (text: string): string => text.replace(INVISIBLE, "");

// Gives an element an id, where it has none, for other elements to name it by.
export function name(what: HTMLElement): string {
  return (what.id ||= `footnote-${++serial}`);
}

export function element<K extends keyof HTMLElementTagNameMap>(name: K, kind = "", text = ""): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text) made.textContent = visible(text);
  return made;
}

export function icon(path: string): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("fill", "currentColor");
  svg.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS(space, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}

export function iconButton(path: string, label: string, action: () => void): HTMLButtonElement {
  const button = element("button", "icon");
  button.type = "button";
  button.ariaLabel = button.title = label;
  button.append(icon(path));
  button.addEventListener("click", action);
  return button;
}

export function replaced(into: HTMLElement, by: HTMLElement): HTMLElement {
  into.replaceChildren(by);
  return by;
}
