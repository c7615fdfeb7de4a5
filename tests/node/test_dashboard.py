"""The dashboard in a real Chromium: content, live updates, no console errors, two sizes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

import pytest
import trio
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

Scheme = Literal["dark", "light"]
# As root in a sandbox, and silent towards the network.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = [
    *("overview", "peers", "datanets", "rounds", "verdicts"),
    *("attribution", "epochs", "answers", "rules", "failures", "log"),
]

pytestmark = pytest.mark.browser


class Pages:
    """One Chromium for all tests, driven in the one thread that Playwright binds to."""

    def __init__(self, executable: str) -> None:
        self.executable = executable
        self.thread = ThreadPoolExecutor(1)
        self.thread.submit(self._start).result()

    def _start(self) -> None:
        self.driver = sync_playwright().start()
        self.browser = self.driver.chromium.launch(executable_path=self.executable, args=FLAGS)

    def stop(self) -> None:
        for end in (lambda: self.browser.close(), lambda: self.driver.stop()):
            self.thread.submit(end).result()
        self.thread.shutdown()

    async def drive(self, look: Callable[["Visit"], None], width: int, scheme: Scheme) -> None:
        """``look`` at a fresh page, in the thread; the caller's trio loop goes on meanwhile."""
        token = trio.lowlevel.current_trio_token()
        work = partial(self._visit, look, width, scheme, token)
        await trio.to_thread.run_sync(lambda: self.thread.submit(work).result())

    def _visit(
        self, look: Callable[["Visit"], None], width: int, scheme: Scheme, token: Any
    ) -> None:
        size: ViewportSize = {"width": width, "height": 800}
        with self.browser.new_context(viewport=size, color_scheme=scheme) as context:
            page = context.new_page()
            page.set_default_timeout(10_000)
            look(Visit(page, token))


class Visit:
    """A page, and whatever its console, scripts or requests complain about."""

    def __init__(self, page: Page, token: Any) -> None:
        self.page, self.token = page, token
        self.complaints: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))

    def turn_to(self, name: str) -> None:
        self.page.evaluate("name => { location.hash = name }", name)

    def sees(self, *texts: str) -> None:
        for text in texts:
            expect(self.page.locator("main")).to_contain_text(text)

    def in_node(self, call: Callable[..., Any], *args: Any) -> None:
        trio.from_thread.run_sync(call, *args, trio_token=self.token)


@pytest.fixture(scope="module")
def pages(chromium: str) -> Iterator[Pages]:
    pages = Pages(chromium)
    yield pages
    pages.stop()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (400, "light")])
async def test_every_page_shows_the_nodes_values_and_fits(
    serving: Any, fake_node: Any, token: str, pages: Pages, width: int, scheme: Scheme
) -> None:
    expected = {
        "overview": ["Verifying step 5", "3.1415", "0 peers", "Not backed up", "openledger backup"],
        "peers": [
            *("ping-timeout", "3 of 4 connected", "outbound-only", "Forward TCP port 4001"),
            *("Refused by 1 peer", "95 s", "1 of 3 peers are newer", "we dialled"),
        ],
        "datanets": ["king-james", "87.3 %", "near-duplicate", "No shards"],
        "rounds": ["3.912", "3.405", "13.0 %", "distance 0.237 above tolerance"],
        "verdicts": ["B: gradient differs", "0.2370", "3.9e-6", "8 OPEN"],
        "attribution": ["41.2", "53.88 %", "87 % yielded to an earlier owner"],
        "epochs": ["76.46", "challenge window to end", "31 records above", "12.5"],
        "answers": ["Who led the people", "by a king", "silver and gold", "0.0125"],
        "rules": ["version 1", "contributors_bps 5000 → 3000", "less to contributors", "10 gOPEN"],
        "failures": ["bad-signature", "signature does not match"],
        "log": ["lost 8 OPEN"],
    }

    def look(visit: Visit) -> None:
        visit.page.goto(f"{url}/?token={token}")
        assert "token" not in visit.page.url
        for name in PAGES:
            visit.turn_to(name)
            visit.sees(*expected[name])
            root = "document.documentElement"
            spare = visit.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
            assert spare <= 0, f"{name} is wider than the window"
        visit.turn_to("peers")
        expect(visit.page.locator("svg.links line")).to_have_count(3)
        expect(visit.page.locator("svg.links g.gone")).to_have_count(1)
        visit.turn_to("rounds")
        expect(visit.page.locator("canvas")).to_have_count(1)
        visit.turn_to("answers")
        expect(visit.page.locator("mark")).to_have_text("And Moses led the people out of the land")
        assert visit.complaints == []

    async with serving(fake_node) as url:
        await pages.drive(look, width, scheme)


async def test_a_change_appears_without_a_reload(
    serving: Any, fake_node: Any, token: str, pages: Pages
) -> None:
    job = fake_node.state["jobs"][0]
    unit = {**job["rounds"][1]["units"][0], "state": "handed-back"}
    moved = {**job, "rounds": [job["rounds"][0], {**job["rounds"][1], "units": [unit]}]}
    status = {**fake_node.state["status"], "duty": "Idle: 0 open tasks.", "backed_up": True}

    def look(visit: Visit) -> None:
        visit.page.goto(f"{url}/?token={token}")
        visit.page.evaluate("window.notReloaded = true")
        visit.turn_to("rounds")
        visit.sees("judging")
        visit.in_node(fake_node.change, "jobs", [moved])
        visit.sees("handed-back")
        visit.turn_to("overview")
        visit.sees("Not backed up")
        visit.in_node(fake_node.change, "status", status)
        visit.sees("Idle: 0 open tasks.")
        expect(visit.page.locator("main")).not_to_contain_text("Not backed up")
        fake_node.unreachable = True
        visit.in_node(fake_node.change, "log", [])
        visit.sees("unreachable: no answer")
        assert visit.page.evaluate("window.notReloaded")
        assert visit.complaints == []

    async with serving(fake_node) as url:
        await pages.drive(look, 1280, "light")


async def test_empty_pages_say_why(serving: Any, fresh_node: Any, token: str, pages: Pages) -> None:
    expected = {
        "overview": ["Waiting: 0 open tasks.", "No payout address", "no epoch has been committed"],
        "peers": ["No peers yet", "openledger doctor"],
        "datanets": ["No Datanets", "openledger datanet create"],
        "rounds": ["No jobs", "openledger job submit"],
        "verdicts": ["No unit has been assigned", "Nobody was slashed"],
        "attribution": ["There is no job whose records could be scored"],
        "epochs": ["nothing to commit", "Nothing is claimable"],
        "rules": ["No proposal yet", "openledger govern propose"],
        "answers": ["There is no job yet"],
        "failures": ["Nothing failed"],
        "log": ["Nothing happened yet"],
    }

    def look(visit: Visit) -> None:
        visit.page.goto(f"{url}/?token={token}")
        for name in PAGES:
            visit.turn_to(name)
            visit.sees(*expected[name])
        assert visit.complaints == []

    async with serving(fresh_node) as url:
        await pages.drive(look, 1280, "dark")


async def test_text_from_peers_is_shown_never_run(
    serving: Any, fake_node: Any, token: str, pages: Pages
) -> None:
    attack = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    answer = {**fake_node.state["answers"][0], "prompt": attack, "text": attack, "spans": []}
    fake_node.state["answers"] = [answer]

    def look(visit: Visit) -> None:
        visit.page.goto(f"{url}/?token={token}")
        visit.turn_to("answers")
        expect(visit.page.locator("main h2").first).to_have_text(attack)
        assert visit.page.locator("main img").count() == 0
        assert visit.complaints == []

    async with serving(fake_node) as url:
        await pages.drive(look, 1280, "dark")


async def test_the_page_says_when_the_node_is_gone(
    serving: Any, fake_node: Any, token: str, pages: Pages
) -> None:
    leave = trio.Event()

    def look(visit: Visit) -> None:
        visit.page.goto(f"{url}/?token={token}")
        visit.sees("Verifying step 5")
        visit.in_node(leave.set)
        visit.sees("The node does not answer")

    async with trio.open_nursery() as nursery, serving(fake_node) as url:
        nursery.start_soon(pages.drive, look, 1280, "dark")
        await leave.wait()
