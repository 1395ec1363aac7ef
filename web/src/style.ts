// A constructed sheet: it needs no exception from a page's Content-Security-Policy.

export const CSS = `
:host {
  --accent: var(--footnote-accent, #0b57d0); --on-accent: var(--footnote-on-accent, #fff);
  --paper: var(--footnote-paper, #fff); --ink: var(--footnote-ink, #1d1d1f);
  --faint: var(--footnote-faint, #5c6066); --line: var(--footnote-line, #d9dce1);
  --soft: var(--footnote-soft, #f1f3f6);
  --link: var(--footnote-link, #0b57d0); --bad: #a8200d;
  display: block; color: var(--ink);
  font: 15px/1.5 var(--footnote-font, system-ui, sans-serif); text-align: start;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) { :host {
  --paper: var(--footnote-paper, #1c1d20); --ink: var(--footnote-ink, #ececef);
  --faint: var(--footnote-faint, #a9adb5); --line: var(--footnote-line, #3b3e45);
  --soft: var(--footnote-soft, #292b30); --link: var(--footnote-link, #a8c7fa); --bad: #ffb4a6;
} }
:host([hidden]) { display: none; }
#frame { height: 100%; }
* { box-sizing: border-box; }
button, textarea { font: inherit; color: inherit; }
button { cursor: pointer; border: 0; background: none; border-radius: 8px; padding: 6px 10px; min-height: 28px; }
button:hover { background: var(--soft); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.launcher {
  position: fixed; inset-block-end: 20px; inset-inline-end: 20px; z-index: 2147483000;
  width: 56px; height: 56px; border-radius: 50%; padding: 14px;
  background: var(--accent); color: var(--on-accent); box-shadow: 0 4px 16px #0004;
}
.launcher:hover { background: var(--accent); filter: brightness(1.1); }
.left .launcher, .left.floating .panel { inset-inline: 20px auto; }
svg { display: block; width: 100%; height: 100%; }
.panel { display: flex; flex-direction: column; background: var(--paper); min-height: 20rem; height: 100%;
  border: 1px solid var(--line); border-radius: 14px; overflow: hidden; }
.panel[hidden] { display: none; }
.floating .panel {
  position: fixed; inset-block-end: 88px; inset-inline-end: 20px; z-index: 2147483000;
  width: min(400px, calc(100vw - 24px)); height: min(var(--footnote-height, 640px), calc(100dvh - 108px)); min-height: 0;
  box-shadow: 0 12px 40px #0005;
}
@media (max-width: 480px) {
  .floating .panel, .left.floating .panel { inset: 0; width: auto; height: auto; border: 0; border-radius: 0; }
  .floating.opened .launcher { display: none; }
}
.head { display: flex; align-items: center; gap: 4px; padding: 8px 8px 8px 16px; border-block-end: 1px solid var(--line); }
h2 { flex: 1; margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
.icon { width: 36px; height: 36px; padding: 9px; }
.log { flex: 1; overflow-y: auto; padding: 16px; overscroll-behavior: contain; }
.log > * { margin: 0 0 14px; }
.you { margin-inline-start: 15%; padding: 8px 12px; border-radius: 12px; background: var(--soft); white-space: pre-wrap; overflow-wrap: anywhere; }
.answer { overflow-wrap: anywhere; }
.answer p, .answer ul, .answer ol, .answer pre { margin: 0 0 8px; }
.answer pre, code { background: var(--soft); border-radius: 4px; padding: 0 4px; white-space: pre-wrap; }
.mark { display: inline-block; min-width: 24px; min-height: 24px; margin-inline: 6px 3px; padding: 0 6px;
  border-radius: 12px; background: var(--accent); color: var(--on-accent); font-size: .8rem; font-weight: 600; line-height: 24px; }
.mark:hover, .mark[aria-expanded="true"] { background: var(--accent); box-shadow: 0 0 0 1.5px var(--paper), 0 0 0 3px var(--accent); }
figure { margin: 0 0 8px; padding: 10px 12px; border-inline-start: 3px solid var(--accent); background: var(--soft); border-radius: 0 8px 8px 0; }
figure[hidden] { display: none; }
blockquote { margin: 0 0 6px; font-family: Georgia, "Noto Serif", serif; }
figcaption { color: var(--faint); font-size: .85rem; }
a { color: var(--link); }
.no { font-weight: 600; }
.faint { color: var(--faint); font-size: .85rem; }
.trouble { color: var(--bad); }
.tools { display: flex; flex-wrap: wrap; gap: 4px; margin-inline-start: -8px; font-size: .85rem; color: var(--faint); }
.tools button { white-space: nowrap; }
.tools .icon { width: 32px; height: 32px; padding: 7px; }
.tools .icon[aria-pressed=true] { color: var(--link); background: var(--soft); }
.down svg { transform: rotate(180deg); }
.judge p { margin: 0; }
.answer .comment { border: 0; padding: 4px 0; }
.starters { display: flex; flex-direction: column; align-items: flex-start; gap: 6px; }
.starters button { border: 1px solid var(--accent); text-align: start; color: var(--link); }
form { display: flex; gap: 8px; align-items: flex-end; padding: 10px; border-block-start: 1px solid var(--line); }
::placeholder { color: var(--faint); opacity: 1; }
textarea { flex: 1; min-width: 0; max-height: 8rem; resize: none; padding: 8px 10px; field-sizing: content;
  border: 1px solid var(--faint); border-radius: 10px; background: var(--paper); }
.send { background: var(--accent); color: var(--on-accent); padding: 8px 14px; }
.send:hover { background: var(--accent); filter: brightness(1.1); }
dialog { width: min(880px, 94vw); height: 90vh; padding: 0; border: 1px solid var(--line); border-radius: 12px; background: var(--paper); color: var(--ink); overflow: hidden; }
dialog[open] { display: flex; flex-direction: column; }
dialog::backdrop { background: #0008; }
iframe { flex: 1; width: 100%; border: 0; }
.hint { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.dots::after { content: "…"; }
@media (prefers-reduced-motion: no-preference) { .dots { animation: pulse 1.4s infinite; } @keyframes pulse { 50% { opacity: .6; } } }
`;
