"""What the tests with other projects' clients share: servers to ask, Node, and a browser."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from qa.testing import ScriptedChatModel, always

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
AXE = HERE.parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"
QUESTION = "how much will Alibaba invest?"
ANSWER = "€50 billion ($53.5 billion)"
WAIT_SECONDS = 20.0
PAGE_MILLISECONDS = 10_000
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

MakeApp = Callable[..., FastAPI]
StartServer = Callable[[FastAPI], str]
RunNode = Callable[..., Any]
OpenPage = Callable[..., Any]
Check = Callable[["Page"], list[str]]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside(no_settings_from_outside: None) -> None:
    """No test here sees settings or proxies of the environment."""


class HeldModel(ScriptedChatModel):
    """A model that says one word and then nothing until it is let go on."""

    entered: Any
    go_on: Any

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        chunks = super()._astream(messages, stop, **kwargs)
        yield await anext(chunks)
        self.entered.set()
        await asyncio.to_thread(self.go_on.wait, WAIT_SECONDS)
        async for chunk in chunks:
            yield chunk


@pytest.fixture(scope="module")
def serve(
    make_app: MakeApp, start_server: StartServer, seed: Path
) -> Callable[[ScriptedChatModel], str]:
    """Give what serves the seed document with a model; it gives the server's address."""

    def start(model: ScriptedChatModel, **values: Any) -> str:
        address = start_server(make_app(model, **values))
        with httpx.Client(base_url=address, timeout=WAIT_SECONDS) as client:
            files = {"file": (seed.name, seed.read_bytes())}
            client.post("/v1/documents", files=files).raise_for_status()
            more = {"text": "Skelling has 12 lamps.", "title": "Lamps", "collection": "lamps"}
            client.post("/v1/documents", json=more).raise_for_status()
        return address

    return start


@pytest.fixture(scope="module")
def answering(serve: Callable[..., str]) -> str:
    """Give the address of a server that answers `QUESTION` with `ANSWER`."""
    return serve(ScriptedChatModel(script=always(ANSWER)))


class Site:
    """A web site of another origin: pages of HTML, each with its own policy, and scripts."""

    def __init__(self, start_server: StartServer) -> None:
        self.pages: list[tuple[str, str | None]] = []
        self.scripts: list[Path] = []
        app = FastAPI()

        @app.get("/{number}")
        def show(number: int) -> HTMLResponse:
            html, policy = self.pages[number]
            return HTMLResponse(
                html, headers={"Content-Security-Policy": policy} if policy else None
            )

        @app.get("/scripts/{number}.js")
        def run(number: int) -> FileResponse:
            return FileResponse(self.scripts[number], media_type="text/javascript")

        self.origin = start_server(app)

    def add(self, html: str, policy: str | None = None) -> str:
        """Put up a page; give its address."""
        self.pages.append((html, policy))
        return f"{self.origin}/{len(self.pages) - 1}"

    def share(self, script: Path) -> str:
        """Put up a script; give its address."""
        self.scripts.append(script)
        return f"{self.origin}/scripts/{len(self.scripts) - 1}.js"


@pytest.fixture(scope="module")
def site(start_server: StartServer) -> Site:
    """Give a site whose pages may use `widget`."""
    return Site(start_server)


@pytest.fixture(scope="module")
def stranger(start_server: StartServer) -> Site:
    """Give a site whose pages may use no widget."""
    return Site(start_server)


@pytest.fixture(scope="module")
def widget(answering: str, site: Site) -> str:
    """Give a widget of the answering server."""
    body = {"origins": [site.origin]}
    made = httpx.post(f"{answering}/v1/widgets", json=body, timeout=WAIT_SECONDS)
    made.raise_for_status()
    return str(made.json()["id"])


@pytest.fixture(scope="module")
def doubting(serve: Callable[..., str]) -> str:
    """Give the address of a server whose model says what no document says, so it is refused."""
    return serve(ScriptedChatModel(script=always("99 billion dollars")))


@pytest.fixture(scope="module")
def failing(serve: Callable[..., str]) -> str:
    """Give the address of a server whose model fails in the middle of its answer."""
    return serve(ScriptedChatModel(script=lambda _: RuntimeError("out of memory")))


@pytest.fixture
def held(serve: Callable[..., str]) -> Iterator[tuple[str, HeldModel]]:
    """Give the address of a server with one slot, and its model, which waits to be let go on."""
    model = HeldModel(
        script=always("99 billion dollars"), entered=threading.Event(), go_on=threading.Event()
    )
    address = serve(model, slots=1, queue=0)
    yield address, model
    model.go_on.set()


@pytest.fixture
def busy(held: tuple[str, HeldModel]) -> Iterator[str]:
    """Give the address of a server that has as many questions as it takes."""
    address, model = held
    body = {"question": QUESTION, "stream": True}
    with (
        httpx.Client(base_url=address, timeout=WAIT_SECONDS) as client,
        client.stream("POST", "/v1/ask", json=body),
    ):
        assert model.entered.wait(WAIT_SECONDS)
        yield address
        model.go_on.set()


@pytest.fixture(scope="session")
def node() -> RunNode:
    """Give what runs a script of this folder with Node and gives the JSON that it prints."""
    found = shutil.which("node")
    if found is None or not (MODULES / "ai").is_dir():
        pytest.skip("Node or its packages are absent: npm ci --prefix tests/clients")

    def run(script: str, *arguments: str) -> Any:
        done = subprocess.run(
            [found, HERE / script, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def check() -> Check:
    """Give what runs axe on a page and its frames and gives what it finds, in a line each."""
    if not AXE.is_file():
        pytest.skip("axe is absent: npm ci --prefix web")

    def checked(page: Page) -> list[str]:
        for frame in page.frames:
            frame.evaluate(AXE.read_text(encoding="utf-8"))
        rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = page.evaluate("tags => axe.run(document, { runOnly: tags })", rules)
        return [
            f"{v['id']}: {node['target']} {node['failureSummary']}"
            for v in found["violations"]
            for node in v["nodes"]
        ]

    return checked


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Give what opens a page with a client's script; nothing but the server is reached.

    The page is of the server's origin, or of a site that is named.
    """
    context = browser.new_context()

    def opened(address: str, script: Path, html: str, site: Site | None = None) -> Page:
        if not script.is_file():
            pytest.skip("the client is absent: npm ci --prefix tests/clients")
        home = address if site is None else site.origin

        def answer(route: Route) -> None:
            url = route.request.url
            if url == f"{address}/test/page.html":
                route.fulfill(body=html, content_type="text/html; charset=utf-8")
            elif url == f"{address}/test/client.js":
                route.fulfill(path=script, content_type="text/javascript; charset=utf-8")
            elif url.startswith((f"{address}/", f"{home}/")):
                route.continue_()
            else:
                route.abort()

        context.route("**/*", answer)
        page = context.new_page()
        page.set_default_timeout(PAGE_MILLISECONDS)
        # A page that is made up has no address space, and Chromium lets it reach no loopback.
        shared = site and site.add(html.replace("client.js", site.share(script)))
        page.goto(shared or f"{address}/test/page.html")
        return page

    yield opened
    context.close()
