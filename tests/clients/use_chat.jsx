// A page with useChat at the SDK's default path; its state is what a test reads.
import { useChat } from "@ai-sdk/react";
import { createRoot } from "react-dom/client";

function Page() {
  const { messages, sendMessage, status, error } = useChat();
  return (
    <main data-status={status}>
      <button onClick={() => sendMessage({ text: window.question })}>Ask</button>
      {error && <p id="error">{error.message}</p>}
      {messages.map((message) =>
        message.parts.map((part, index) => {
          const key = `${message.id}-${index}`;
          if (part.type === "text") return <p key={key} className={message.role}>{part.text}</p>;
          if (part.type === "source-url") return <a key={key} href={part.url}>{part.title}</a>;
          if (part.type === "data-citation") return <q key={key}>{part.data.quote}</q>;
          if (part.type === "data-refusal") return <i key={key}>{part.data.reason.code}</i>;
          return null;
        }),
      )}
    </main>
  );
}

createRoot(document.body.appendChild(document.createElement("div"))).render(<Page />);
