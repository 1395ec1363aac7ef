"""What the widget costs a page: main-thread work at load, and the delay of the first word.

    python benchmarks/widget.py http://127.0.0.1:8000 --rounds 15

Opens a static page of another origin in headless Chromium, with the widget and without, in turns:
the difference of Chromium's own durations is the widget's work at load: all tasks of the main
thread, and of them script, style and layout. They are given in the thread's own time, which other
processes' work does not lengthen, and by the clock. Then it asks, and compares when the first word
is painted with the first token's time in the server's own timings; both count from the question.
The server has to run, with the seed document in it.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import statistics
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
QUESTION = "how much will Alibaba invest?"
PLAIN = "<!doctype html><html lang=en><title>Page</title><h1>Page</h1><p>Text.</p>"
DOMAINS = {"threadTicks": "thread time", "timeTicks": "by the clock"}
WATCH = """
const fetched = window.fetch;
window.seen = {};
window.fetch = (...a) => { if (String(a[0]).includes('/v1/ask')) seen.asked = performance.now();
  return fetched(...a); };
new MutationObserver(() => {
  const root = document.querySelector('footnote-chat')?.shadowRoot;
  if (!root || root.watched) return;
  root.watched = true;
  new MutationObserver(() => {
    const p = root.querySelector('.answer p:not(.faint)');
    if (p?.textContent && !seen.shown) requestAnimationFrame(() => {
      seen.shown ??= performance.now(); });
    if (root.querySelector('.mark')) seen.ended = true;
  }).observe(root, { subtree: true, childList: true, characterData: true });
}).observe(document, { subtree: true, childList: true });
"""


def main() -> None:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = _serve(folder)
        made = httpx.post(f"{options.server}/v1/widgets", json={"origins": [site]}).json()
        Path(folder, "plain.html").write_text(PLAIN)
        Path(folder, "chat.html").write_text(PLAIN + made["snippet"])
        browser = playwright.chromium.launch(executable_path=_chromium(), args=OPTIONS)
        for domain, measured in DOMAINS.items():
            pairs = [
                [_load(browser, f"{site}/{name}.html", domain) for name in ("plain", "chat")]
                for _ in range(options.rounds)
            ]
            for place, name in enumerate(("all tasks", "script, style and layout")):
                added = [chat[place] - plain[place] for plain, chat in pairs]
                print(f"main-thread work at load, {name}, {measured}, ms: {_show(added)}")
        delays = [_delay(browser, f"{site}/chat.html") for _ in range(options.rounds)]
        print(f"first word behind the server's first token, ms: {_show(delays)}")
        httpx.delete(f"{options.server}/v1/widgets/{made['id']}").raise_for_status()
        browser.close()


def _serve(folder: str) -> str:
    handler = functools.partial(_Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


def _chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        raise SystemExit("There is no Chromium: install your system's package.")
    return found


def _load(browser: Browser, address: str, domain: str) -> tuple[float, float]:
    """Give the main thread's work until the page rests, in milliseconds: all, and the page's.

    `domain` is the Chrome DevTools Protocol's `timeDomain`.
    """
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": domain})
    page.goto(address, wait_until="networkidle")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    context.close()
    parts = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
    return metrics["TaskDuration"] * 1000, sum(metrics[part] for part in parts) * 1000


def _delay(browser: Browser, address: str) -> float:
    """Give how long after the server's first token the first word is painted, in milliseconds."""
    context = browser.new_context()
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(address)
    page.locator("footnote-chat .launcher").click()
    page.get_by_role("textbox").fill(QUESTION)
    page.get_by_role("textbox").press("Enter")
    page.locator("footnote-chat .mark").wait_for(timeout=120_000)
    shown = page.evaluate("seen.shown - seen.asked")
    kept = page.evaluate("JSON.parse(Object.values(sessionStorage)[0])")
    context.close()
    return float(shown) - float(kept[-1]["answer"]["timings"]["first_token"]) * 1000


def _show(values: list[float]) -> str:
    ordered = sorted(values)
    ninetieth = ordered[int(0.9 * (len(ordered) - 1))]
    return f"median {statistics.median(ordered):.1f}, 90th percentile {ninetieth:.1f}"


if __name__ == "__main__":
    main()
