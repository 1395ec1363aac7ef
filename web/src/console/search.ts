// Passages for a query, with their places in both rankings.

import { element } from "../dom";
import { flow, scores } from "./evidence";
import { attempt, count, find, opening } from "./page";
import { server } from "./server";

const LIMIT = 20;
const form = find<HTMLFormElement>("#search");
const said = find<HTMLElement>("#search-said");
const found = find<HTMLElement>("#found");

export function connect(collection: () => string): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = String(new FormData(form).get("query"));
    void attempt(async () => {
      said.textContent = "Searching…";
      found.replaceChildren();
      const passages = await server.search(query, collection(), LIMIT).finally(() => (said.textContent = ""));
      said.textContent = passages.length ? `The best ${count(passages.length, "passage")}.` : "Nothing was found.";
      for (const passage of passages) {
        const line = element("li", "passage");
        const similar = element("meter");
        similar.max = 1;
        similar.value = Math.max(0, passage.similarity);
        similar.ariaLabel = "Similarity of meaning";
        const text = element("p", "text", flow(passage.text));
        text.dir = "auto";
        const place = scores(passage);
        place.prepend(similar);
        line.append(element("h2", "", passage.title), text, place, opening("Open in document", passage.url));
        found.append(line);
      }
    });
  });
}

export function clear(): void {
  said.textContent = "";
  found.replaceChildren();
}
