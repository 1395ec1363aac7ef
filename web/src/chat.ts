// <footnote-chat>: a conversation whose every answer shows where it stands.

import { address, ask, Failure, judge } from "./answers";
import type { Place, Turn } from "./answers";
import { element, icon, iconButton, ICONS, name, replaced, visible } from "./dom";
import { thumbs } from "./feedback";
import { showAnswer, writeOut } from "./proof";
import { CSS } from "./style";
import { choose, fill } from "./words";
import type { Words } from "./words";

export interface Looks {
  title?: string | null;
  greeting?: string | null;
  starters?: string[];
  accent?: string | null;
  position?: string | null;
  language?: string | null;
}

// What the <script> of the page says; an element's own attributes come before it.
export interface Defaults {
  server: string;
  attributes: DOMStringMap;
}

const SLOW_MS = 6_000;
const KEPT_TURNS = 50;
let sheet: CSSStyleSheet | undefined;
let defaults: Defaults = { server: location.origin, attributes: {} };

export function setDefaults(given: Defaults): void {
  defaults = given;
}

export class FootnoteChat extends HTMLElement {
  #root = this.attachShadow({ mode: "open" });
  #frame = element("div");
  #panel?: HTMLElement;
  #log = element("div", "log");
  #input = element("textarea");
  #send = element("button", "send");
  #turns: Turn[] = [];
  #looks: Looks = {};
  #words: Words = choose("en").words;
  #running?: AbortController;
  #launcher?: HTMLButtonElement;
  #started = false;

  connectedCallback(): void {
    if (this.#started) return;
    this.#started = true;
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(CSS);
    }
    this.#root.adoptedStyleSheets = [sheet];
    this.#frame.id = "frame";
    this.#root.append(this.#frame);
    this.#dress({});
    if (this.#floating) this.#addLauncher();
    else this.#open();
    if (this.#place.widget) requestIdle(() => void this.#fetchLooks());
  }

  disconnectedCallback(): void {
    this.#running?.abort();
  }

  get #floating(): boolean {
    return this.hasAttribute("floating");
  }

  #option(name: string): string | null {
    return this.dataset[name] ?? defaults.attributes[name] ?? null;
  }

  get #place(): Place {
    const given = this.#option("server");
    const server = given ? new URL(given, document.baseURI).href : defaults.server;
    return {
      server: server.endsWith("/") ? server : `${server}/`,
      widget: this.#option("widget"),
      collection: this.#option("collection"),
      explain: this.#option("explain") !== null,
    };
  }

  // What the page's own attributes say comes before what the server keeps for the widget.
  #dress(kept: Looks): void {
    const starters = this.#option("starters");
    this.#looks = {
      title: this.#option("title") ?? kept.title ?? null,
      greeting: this.#option("greeting") ?? kept.greeting ?? null,
      starters: starters ? starters.split("|").map((s) => s.trim()).filter(Boolean) : (kept.starters ?? []),
      accent: this.#option("accent") ?? kept.accent ?? null,
      position: this.#option("position") ?? kept.position ?? null,
      language: this.#option("language") ?? kept.language ?? null,
    };
    const wanted = this.#looks.language || document.documentElement.lang || navigator.language;
    const chosen = choose(wanted);
    this.#words = chosen.words;
    this.#frame.lang = chosen.language;
    this.#frame.dir = chosen.direction;
    const { accent, position } = this.#looks;
    this.#frame.className = [this.#floating && "floating", position === "left" && "left", this.#shown && "opened"]
      .filter(Boolean)
      .join(" ");
    if (accent && /^#[0-9a-f]{6}$/i.test(accent)) {
      this.style.setProperty("--footnote-accent", accent);
      this.style.setProperty("--footnote-on-accent", isLight(accent) ? "#000" : "#fff");
    }
  }

  async #fetchLooks(): Promise<void> {
    const place = this.#place;
    try {
      const response = await fetch(address(place, `v1/widgets/${place.widget ?? ""}`), { credentials: "omit" });
      if (response.status === 404) {
        this.#withdraw(place.widget ?? "");
        return;
      }
      if (!response.ok) return;
      this.#dress((await response.json()) as Looks);
    } catch {
      return; // the looks are not needed; a question will say what is wrong
    }
    if (this.#launcher) this.#launcher.ariaLabel = this.#looks.title || this.#words.open;
    if (this.#panel && !this.#turns.length && !this.#running) this.#rebuild();
  }

  // A widget that is no more: the page's visitors see nothing, who keeps the page is told.
  #withdraw(widget: string): void {
    console.error(
      `Footnote: the server at ${this.#place.server} has no widget ${widget}. It was revoked, or made in ` +
        "another server's data folder; footnote widgets list names those there are.",
    );
    this.hidden = true;
  }

  // The launcher and the panel

  #addLauncher(): void {
    const button = element("button", "launcher");
    button.type = "button";
    button.ariaLabel = this.#looks.title || this.#words.open;
    button.ariaExpanded = "false";
    button.append(icon(ICONS.chat));
    button.addEventListener("click", () => (this.#shown ? this.close() : this.open()));
    this.#launcher = button;
    this.#frame.append(button);
  }

  get #shown(): boolean {
    return !!this.#panel && !this.#panel.hidden;
  }

  open(): void {
    this.#open();
    this.#input.focus();
  }

  close(): void {
    if (!this.#panel || !this.#launcher) return;
    this.#panel.hidden = true;
    this.#frame.classList.remove("opened");
    this.#launcher.ariaExpanded = "false";
    this.#launcher.focus();
  }

  #open(): void {
    if (!this.#panel) {
      this.#turns = this.#restore();
      this.#build();
    }
    if (this.#panel) this.#panel.hidden = false;
    this.#frame.classList.add("opened");
    if (this.#launcher) this.#launcher.ariaExpanded = "true";
  }

  // The looks may come while somebody types: the words, the cursor and the focus stay.
  #rebuild(): void {
    const hidden = this.#panel?.hidden ?? false;
    const typed = this.#input;
    const focused = this.#root.activeElement === typed;
    this.#panel?.remove();
    this.#build();
    if (this.#panel) this.#panel.hidden = hidden;
    this.#input.value = typed.value;
    this.#input.setSelectionRange(typed.selectionStart, typed.selectionEnd);
    if (focused) this.#input.focus();
  }

  #build(): void {
    const words = this.#words;
    const panel = element("section", "panel");
    const title = element("h2", "", this.#looks.title || words.title);
    panel.setAttribute("aria-labelledby", name(title));
    panel.setAttribute("role", this.#floating ? "dialog" : "region");
    const head = element("div", "head");
    head.append(title, iconButton(ICONS.fresh, words.fresh, () => this.#clear()));
    if (this.#floating) head.append(iconButton(ICONS.close, words.close, () => this.close()));
    this.#log = element("div", "log");
    this.#log.setAttribute("role", "log");
    this.#log.tabIndex = 0;
    this.#log.ariaLabel = title.textContent;
    const form = element("form");
    this.#input = element("textarea");
    this.#input.rows = 1;
    this.#input.maxLength = 2000;
    this.#input.dir = "auto";
    this.#input.placeholder = this.#input.ariaLabel = words.ask;
    this.#send = element("button", "send", words.send);
    this.#send.type = "submit";
    form.append(this.#input, this.#send);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#running) this.#running.abort();
      else void this.ask(this.#input.value);
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.#running) form.requestSubmit();
    });
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#floating) this.close();
    });
    panel.append(head, this.#log, form);
    this.#panel = panel;
    this.#frame.prepend(panel);
    this.#greet();
    for (const turn of this.#turns) {
      this.#addQuestion(turn.question);
      this.#show(this.#addAnswer(), turn);
    }
  }

  #greet(): void {
    const { greeting, starters } = this.#looks;
    if (greeting) this.#log.append(element("p", "answer", greeting));
    if (this.#turns.length || !starters?.length) return;
    const list = element("div", "starters");
    for (const starter of starters) {
      const button = element("button", "", starter);
      button.type = "button";
      button.dir = "auto";
      button.addEventListener("click", () => void this.ask(starter));
      list.append(button);
    }
    this.#log.append(list);
  }

  #clear(): void {
    this.#running?.abort();
    this.#turns = [];
    this.#keep();
    this.#log.replaceChildren();
    this.#greet();
    this.#input.focus();
    this.#tell("clear", {});
  }

  // Asking

  async ask(text: string): Promise<void> {
    const question = text.trim();
    if (!question || this.#running) return;
    this.#open();
    this.#log.querySelector(".starters")?.remove();
    this.#input.value = "";
    this.#addQuestion(question);
    const into = this.#addAnswer();
    const waiting = element("p", "faint dots", this.#words.thinking);
    into.append(waiting);
    this.#follow(into);
    const running = new AbortController();
    this.#running = running;
    this.#send.textContent = this.#words.stop;
    const slow = setTimeout(() => (waiting.textContent = this.#words.slow), SLOW_MS);
    let draft: HTMLElement | undefined;
    const onStart = (lookedUp: string): void => this.#tell("start", { question, lookedUp });
    const onToken = (token: string): void => {
      draft ??= replaced(into, element("p"));
      draft.append(visible(token));
      this.#follow(into);
    };
    try {
      const answer = await ask(this.#place, question, this.#turns, { onStart, onToken }, running.signal);
      if (running.signal.aborted) return;
      const turn = { question, answer };
      this.#turns.push(turn);
      this.#keep();
      this.#show(into, turn);
      this.#tell("answer", turn);
    } catch (error) {
      if (running.signal.aborted) into.replaceChildren(element("p", "faint", this.#words.stopped));
      else if (error instanceof Failure) this.#fail(into, question, error);
      else {
        this.#fail(into, question, new Failure("failed"));
        throw error;
      }
    } finally {
      clearTimeout(slow);
      if (this.#running === running) this.#running = undefined;
      this.#send.textContent = this.#words.send;
      this.#follow(into);
    }
  }

  #addQuestion(question: string): void {
    const said = element("div", "you");
    said.dir = "auto";
    said.append(element("span", "hint", `${this.#words.you}: `), question);
    this.#log.append(said);
  }

  #addAnswer(): HTMLElement {
    const into = element("div", "answer");
    into.dir = "auto";
    this.#log.append(into);
    return into;
  }

  #follow(into: HTMLElement): void {
    // Never past the question's own line; and the log alone scrolls, not the page around it.
    const log = this.#log;
    const question = into.previousElementSibling as HTMLElement | null;
    const end = into.offsetTop + into.offsetHeight - log.offsetTop - log.clientHeight;
    const top = (question ?? into).offsetTop - log.offsetTop;
    log.scrollTop = Math.max(log.scrollTop, Math.min(top - 12, end + 12));
  }

  #fail(into: HTMLElement, question: string, failure: Failure): void {
    const said = failure.trouble === "busy" ? fill(this.#words.busy, failure.seconds) : this.#words[failure.trouble];
    const line = element("p", "trouble", failure.detail ? `${said} ${failure.detail}` : said);
    line.setAttribute("role", "alert");
    const again = element("button", "", this.#words.retry);
    again.type = "button";
    again.addEventListener("click", () => {
      into.previousElementSibling?.remove();
      into.remove();
      void this.ask(question);
    });
    into.replaceChildren(line, ...(failure.lasting ? [] : [again]));
  }

  // Answers

  #show(into: HTMLElement, turn: Turn): void {
    showAnswer(into, turn.answer, {
      words: this.#words,
      place: this.#place,
      frame: this.#frame,
      follow: () => this.#follow(into),
    });
    into.append(this.#tools(turn));
  }

  // A page may listen: `footnote-start`, `footnote-answer`, `footnote-clear`, and `footnote-explain`,
  // which is sent where somebody asks why; that can be asked where the element has `data-explain`.
  #tell(name: "start" | "answer" | "explain" | "clear", detail: object): void {
    this.dispatchEvent(new CustomEvent(`footnote-${name}`, { detail, bubbles: true }));
  }

  #tools(turn: Turn): HTMLElement {
    const words = this.#words;
    const tools = element("div", "tools");
    const add = (label: string, action: (button: HTMLElement) => void): void => {
      const button = element("button", "", label);
      button.type = "button";
      button.addEventListener("click", () => action(button));
      tools.append(button);
    };
    // Browsers have no clipboard on pages that came over plain HTTP from another machine.
    if (turn.answer.answered && "clipboard" in navigator) {
      add(words.copy, (button) => {
        const done = navigator.clipboard.writeText(writeOut(turn.answer, this.#place));
        void done.then(() => (button.textContent = words.copied));
      });
    }
    if (this.#option("explain") !== null) add(words.why, () => this.#tell("explain", turn));
    const { id } = turn.answer;
    if (!id) return tools;
    return thumbs(tools, words, turn, async (rating, comment) => {
      await judge(this.#place, id, rating, comment);
      Object.assign(turn, { rating, comment });
      this.#keep();
    });
  }

  // The conversation stays while the tab does

  get #key(): string | null {
    if (this.#option("forget") !== null) return null;
    const { server, widget, collection } = this.#place;
    return `footnote:${server}:${widget ?? ""}:${collection ?? ""}`;
  }

  #keep(): void {
    const key = this.#key;
    if (!key) return;
    try {
      sessionStorage.setItem(key, JSON.stringify(this.#turns.slice(-KEPT_TURNS)));
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // full, or forbidden: then it is forgotten
    }
  }

  #restore(): Turn[] {
    const key = this.#key;
    if (!key) return [];
    try {
      const kept: unknown = JSON.parse(sessionStorage.getItem(key) ?? "[]");
      return Array.isArray(kept) ? (kept as Turn[]) : [];
    } catch (error) {
      if (error instanceof DOMException || error instanceof SyntaxError) return [];
      throw error;
    }
  }
}

// Relative luminance as WCAG 2.2 defines it: above 0.179 black is the better contrast.
function isLight(color: string): boolean {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179;
}

function requestIdle(work: () => void): void {
  if ("requestIdleCallback" in window) requestIdleCallback(work);
  else setTimeout(work);
}
