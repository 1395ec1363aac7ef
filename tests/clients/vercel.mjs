// Ask a server with the Vercel AI SDK and print, as JSON, what its own code makes of the answer.
// node vercel.mjs <address> <question> [<body as JSON> [<api path>]]
import { Chat } from "@ai-sdk/react";
import { DefaultChatTransport, asSchema, readUIMessageStream, uiMessageChunkSchema } from "ai";
import * as v5 from "ai-v5";
import * as v6 from "ai-v6";

const [address, question, body = "{}", path = "/api/chat"] = process.argv.slice(2);
const user = (text) => ({ id: "u1", role: "user", parts: [{ type: "text", text }] });
let raw = "";
let headers = {};
const transport = new DefaultChatTransport({
  api: address + path,
  body: JSON.parse(body),
  fetch: async (url, options) => {
    const response = await fetch(url, options);
    headers = Object.fromEntries(response.headers);
    if (!response.body) return response;
    const [ours, theirs] = response.body.tee();
    void (async () => {
      const decoder = new TextDecoder();
      for await (const bytes of ours) raw += decoder.decode(bytes, { stream: true });
    })();
    return new Response(theirs, response);
  },
});

const told = { chunks: [], errors: [] };
try {
  const stream = await transport.sendMessages({
    chatId: "c1",
    trigger: "submit-message",
    messages: [user(question)],
  });
  const [first, second] = stream.tee();
  for await (const message of readUIMessageStream({
    stream: first,
    onError: (error) => told.errors.push(error.message),
  })) {
    told.message = message;
  }
  for await (const chunk of second) told.chunks.push(chunk);
} catch (error) {
  told.thrown = { name: error.name, message: error.message, status: error.statusCode };
}
told.raw = raw;
told.headers = headers;

// What each version's schema says of each part.
told.invalid = [];
told.strict = [];
for (const [version, schema] of Object.entries({
  5: v5.asSchema ? v5.asSchema(v5.uiMessageChunkSchema) : v5.uiMessageChunkSchema,
  6: v6.asSchema(v6.uiMessageChunkSchema),
  7: asSchema(uiMessageChunkSchema),
})) {
  const unknown = await schema.validate({ type: "finish", unheardOf: 1 });
  if (!unknown.success) told.strict.push(version);
  for (const chunk of told.chunks) {
    const result = await schema.validate(chunk);
    if (!result.success) told.invalid.push([version, chunk.type, String(result.error)]);
  }
}

// The state that useChat shows, asked twice to have a conversation.
const chat = new Chat({ transport, onError: () => {} });
await chat.sendMessage({ text: question });
const texts = () =>
  chat.messages.map((m) => [m.role, m.parts.filter((p) => p.type === "text").map((p) => p.text).join("")]);
told.chat = { status: chat.status, error: chat.error?.message, texts: texts() };
if (chat.status === "ready") {
  await chat.regenerate();
  told.again = { status: chat.status, texts: texts() };
  await chat.resumeStream();
  told.resumed = { status: chat.status, texts: texts() };
}
console.log(JSON.stringify(told));
process.exit(0);
