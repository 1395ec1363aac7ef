// Ask a server with the Vercel AI SDK and print, as JSON, what its own code makes of the answer.
// node vercel.mjs <address> <question> [<body as JSON> [<api path>]]
import { Chat } from "@ai-sdk/react";
import * as v7 from "ai";
import * as v5 from "ai-v5";
import * as v6 from "ai-v6";

const [address, question, body = "{}", path = "/api/chat"] = process.argv.slice(2);
const user = (text) => ({ id: "u1", role: "user", parts: [{ type: "text", text }] });
let raw = "";
let headers = {};
const transport = new v7.DefaultChatTransport({
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
  for await (const message of v7.readUIMessageStream({
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

// What the transport of each version, with its own schema, makes of the same bytes and of a part
// with a key that no version knows.
const read = async (version, bytes) => {
  const stream = await new version.DefaultChatTransport({
    fetch: async () => new Response(bytes),
  }).sendMessages({ chatId: "c1", trigger: "submit-message", messages: [user(question)] });
  const types = [];
  for await (const chunk of stream) types.push(chunk.type);
  return types;
};
told.read = {};
told.strict = [];
if (raw) {
  for (const [name, version] of Object.entries({ 5: v5, 6: v6, 7: v7 })) {
    told.read[name] = await read(version, raw);
    await read(version, 'data: {"type":"finish","unheardOf":1}\n\n').catch(() => told.strict.push(name));
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
