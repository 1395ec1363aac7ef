// Sending a document, with its progress: the bytes on their way, then the passages made searchable.

import { failed, Failure } from "../answers";
import type { DocumentRecord } from "./server";

export interface Ingested {
  outcome: "created" | "replaced" | "unchanged";
  document: DocumentRecord;
}

export interface Sending {
  file: File;
  collection: string;
  source?: string;
  title?: string;
}

export type Progress = (what: "sending" | "waiting" | "reading", share: number | null) => void;

// XMLHttpRequest, since fetch tells nothing of what was sent so far. Throws a Failure.
export function upload(sending: Sending, progress: Progress): Promise<Ingested> {
  const form = new FormData();
  form.set("file", sending.file);
  form.set("collection", sending.collection);
  if (sending.source) form.set("source", sending.source);
  if (sending.title) form.set("title", sending.title);
  const request = new XMLHttpRequest();
  request.open("POST", "/v1/documents");
  request.setRequestHeader("accept", "text/event-stream, application/json");
  return new Promise((resolve, reject) => {
    let read = 0;
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      progress(loaded < total ? "sending" : "waiting", loaded < total ? loaded / total : null);
    });
    const take = (): void => {
      const past = request.responseText.lastIndexOf("\n\n") + 2;
      for (const [name, data] of frames(request.responseText.slice(read, past))) {
        if (name === "progress") {
          const { done, total } = data as { done: number; total: number };
          progress("reading", total ? done / total : null);
        } else if (name === "end") resolve(data as Ingested);
        else if (name === "error") reject(failed(data));
      }
      read = Math.max(read, past);
    };
    const streams = (): boolean =>
      request.status < 300 && (request.getResponseHeader("content-type") ?? "").startsWith("text/event-stream");
    request.addEventListener("progress", () => streams() && take());
    request.addEventListener("load", () => {
      if (streams()) {
        take();
        reject(new Failure("down", "The server broke off. Send the file again; nothing is lost."));
      } else if (request.status >= 300) reject(failed(parse(request.responseText), request.status));
      else resolve(parse(request.responseText) as Ingested);
    });
    request.addEventListener("error", () => reject(new Failure("down")));
    progress("sending", 0);
    request.send(form);
  });
}

function* frames(text: string): Generator<[string, unknown]> {
  for (const frame of text.split("\n\n")) {
    const name = /^event: ?(.*)$/m.exec(frame)?.[1];
    const data = /^data: ?(.*)$/m.exec(frame)?.[1];
    if (name && data) yield [name, JSON.parse(data)];
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
