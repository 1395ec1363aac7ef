// The one line of a page: <script async src="https://host/widget.js" data-widget="w_..."></script>.
// Pages with a <footnote-chat> of their own get the chat there, all others a launcher at the corner.

import { FootnoteChat, setDefaults } from "./chat";

const script = document.currentScript as HTMLScriptElement | null;

function begin(): void {
  if (!document.querySelector("footnote-chat")) {
    const chat = document.createElement("footnote-chat");
    chat.setAttribute("floating", "");
    document.body.append(chat);
  }
}

if (!customElements.get("footnote-chat")) {
  if (script) setDefaults({ server: new URL(".", script.src).href, attributes: { ...script.dataset } });
  customElements.define("footnote-chat", FootnoteChat);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
}
