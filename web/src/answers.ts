// What the server sends, and asking it: POST /v1/ask as server-sent events.

export interface Citation {
  marker: number;
  document_id: string;
  title: string;
  quote: string;
  start: number;
  end: number;
  page: number | null;
  section: string | null;
  answer_end: number;
  url: string;
}

export interface Passage {
  id: string;
  document_id: string;
  title: string;
  text: string;
  start: number;
  end: number;
  score: number;
  similarity: number;
  dense_rank: number | null;
  keyword_rank: number | null;
  page: number | null;
  section: string | null;
  url: string;
}

export interface Answer {
  id: string | null;
  answered: boolean;
  answer: string;
  reason: { code: string; message: string } | null;
  citations: Citation[];
  passages: Passage[];
  evidence: { document_id: string; start: number; end: number }[];
  confidence: number;
  question: string;
  model: string;
  timings: { retrieve: number; read: number; total: number; first_token: number | null };
  usage: { input_tokens: number; output_tokens: number } | null;
  disagreement?: boolean;
  cached: boolean;
  explanation: Record<string, number> | null;
}

export type Rating = "up" | "down";

export interface Turn {
  question: string;
  answer: Answer;
  rating?: Rating;
  comment?: string;
}

export interface Listener {
  onStart: (lookedUp: string) => void;
  onToken: (text: string) => void;
}

export interface Place {
  server: string;
  widget: string | null;
  collection: string | null;
  explain: boolean;
}

export type Trouble = "down" | "notAllowed" | "busy" | "failed";

// What a visitor can be told; `seconds` is when to come back, `detail` the server's own words, and
// `lasting` what the same request will meet again.
export class Failure extends Error {
  constructor(
    readonly trouble: Trouble,
    readonly detail = "",
    readonly seconds = 0,
    readonly lasting = trouble === "notAllowed",
  ) {
    super(detail || trouble);
  }
}

const SILENCE_MS = 60_000; // the server breaks its silence every 15 seconds
const PASSING = [408, 409, 425, 429]; // of 4xx, what may be otherwise a moment later
const REMEMBERED = 3; // earlier exchanges that a follow-up is understood from

export function address(place: Place, path: string): string {
  const url = new URL(path, place.server);
  if (place.widget) url.searchParams.set("widget", place.widget);
  return url.href;
}

export async function ask(
  place: Place,
  question: string,
  earlier: Turn[],
  { onStart, onToken }: Listener,
  stop: AbortSignal,
): Promise<Answer> {
  const history = earlier
    .slice(-REMEMBERED)
    .map((turn) => ({ question: turn.question, answer: turn.answer.answer }));
  const body = { question, history, stream: true, ...(place.collection && { collection: place.collection }), ...(place.explain && { explain: true }) };
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  try {
    const response = await fetch(address(place, "v1/ask"), {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(body),
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.any([stop, silent.signal]),
    });
    if (!response.ok || !response.body) throw await refusalOf(response);
    for await (const [name, data] of events(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MS);
      if (name === "start") onStart((data as { question: string }).question);
      else if (name === "token") onToken((data as { text: string }).text);
      else if (name === "end" || name === "refused") return data as Answer;
      else if (name === "error") throw failed(data);
    }
    throw new Failure("down");
  } catch (error) {
    if (error instanceof Failure || stop.aborted) throw error;
    throw silent.signal.aborted ? new Failure("down") : await unreachable(place);
  } finally {
    clearTimeout(timer);
  }
}

// What somebody thinks of an answer; said again, it replaces what was said. Throws a Failure.
export async function judge(place: Place, answer: string, rating: Rating, comment: string): Promise<void> {
  const response = await fetch(address(place, "v1/feedback"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ answer_id: answer, rating, comment }),
    credentials: "omit",
    referrerPolicy: "no-referrer",
  }).catch(() => null);
  if (!response) throw new Failure("down");
  if (!response.ok) throw await refusalOf(response);
}

// A browser says the same of a server that is down and of one that does not allow this page; only
// the first keeps an opaque request from arriving too.
async function unreachable(place: Place): Promise<Failure> {
  try {
    await fetch(new URL("healthz", place.server), { mode: "no-cors", cache: "no-store" });
  } catch {
    return new Failure("down");
  }
  console.error(
    `Footnote: ${location.origin} is not among the origins of widget ${place.widget ?? "(none is named)"}, ` +
      `or it was revoked. footnote widgets create --origin ${location.origin}`,
  );
  return new Failure("notAllowed");
}

export async function refusalOf(response: Response): Promise<Failure> {
  const seconds = Number(response.headers.get("retry-after")) || 0;
  if (response.status === 429 || response.status === 503) return new Failure("busy", "", seconds || 3);
  if (response.status === 403) return new Failure("notAllowed");
  const problem: unknown = await response.json().catch(() => null);
  return failed(problem, response.status);
}

// A problem as the server writes it (RFC 9457); 4xx says that the request itself is at fault.
export function failed(problem: unknown, status?: number): Failure {
  const told = (problem ?? {}) as { detail?: unknown; fix?: unknown; status?: unknown };
  const detail = [told.detail, told.fix].filter((part) => typeof part === "string" && part).join(" ");
  const code = Number(told.status ?? status ?? 500);
  return new Failure("failed", detail, 0, code >= 400 && code < 500 && !PASSING.includes(code));
}

// Server-sent events as the HTML standard frames them, as far as our server uses them.
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<[string, unknown]> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let held = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      held += value;
      const frames = held.split("\n\n");
      held = frames.pop() ?? "";
      for (const frame of frames) {
        let name = "";
        let data = "";
        for (const line of frame.split("\n")) {
          if (line.startsWith("event:")) name = line.slice(6).trim();
          else if (line.startsWith("data:")) data += line.slice(5).trim();
        }
        // A frame without data is a comment that breaks the silence.
        yield [name, data ? (JSON.parse(data) as unknown) : null];
      }
    }
  } finally {
    await reader.cancel();
  }
}
