// Making elements: text is set as text, never as HTML.

export function element<K extends keyof HTMLElementTagNameMap>(name: K, kind = "", text = ""): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
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
