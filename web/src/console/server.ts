// The server that this page came from, asked for JSON.

import { Failure, refusalOf } from "../answers";
import type { Passage } from "../answers";

export interface Collection {
  name: string;
  documents: number;
  passages: number;
}

export interface DocumentRecord {
  id: string;
  collection: string;
  source: string;
  title: string;
  characters: number;
  passages: number;
  updated_at: string;
  url: string;
}

export interface Judged {
  answer_id: string;
  rating: "up" | "down";
  comment: string;
  created_at: string;
  question: string;
  answered: boolean;
  answer: string;
  reason: string | null;
  citations: { quote: string; title: string; document_id: string; start: number; end: number }[];
  model: string;
  index_version: string;
}

export interface Widget {
  id: string;
  collection: string;
  origins: string[];
  per_minute: number;
  snippet: string;
}

// Throws a Failure that says what to do.
async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  }).catch(() => null);
  if (!response) throw new Failure("down", "The server cannot be reached. Is it running?");
  if (!response.ok) throw await refusalOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

const within = (path: string, values: Record<string, string | number>): string =>
  `${path}?${new URLSearchParams(Object.entries(values).map(([k, v]) => [k, String(v)]))}`;

export const server = {
  collections: async () => (await send<{ collections: Collection[] }>("GET", "/v1/collections")).collections,
  documents: async (collection: string) =>
    (await send<{ documents: DocumentRecord[] }>("GET", within("/v1/documents", { collection }))).documents,
  remove: (id: string) => send<undefined>("DELETE", `/v1/documents/${encodeURIComponent(id)}`),
  search: async (query: string, collection: string, limit: number) =>
    (await send<{ passages: Passage[] }>("POST", "/v1/search", { query, collection, limit })).passages,
  judged: (collection: string, rating: string, limit: number) =>
    send<{ total: number; feedback: Judged[] }>(
      "GET",
      within("/v1/feedback", { collection, limit, ...(rating && { rating }) }),
    ),
  forget: (id: string) => send<undefined>("DELETE", `/v1/feedback/${encodeURIComponent(id)}`),
  widgets: async () => (await send<{ widgets: Widget[] }>("GET", "/v1/widgets")).widgets,
  createWidget: (widget: object) => send<Widget>("POST", "/v1/widgets", widget),
  revoke: (id: string) => send<undefined>("DELETE", `/v1/widgets/${encodeURIComponent(id)}`),
  waiting: async (): Promise<string[]> => {
    const response = await fetch("/readyz").catch(() => null);
    if (!response) throw new Failure("down");
    return ((await response.json()) as { waiting: string[] }).waiting;
  },
};
