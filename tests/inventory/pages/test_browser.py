"""Tests of the pages in a real browser: what people do, what keeps nobody out, how it looks.

``CAMCENSUS_SHOTS`` names a folder in which the pictures of all pages stay, to be looked at.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from inventory import tokens
from inventory.models import Agent, Device, Run
from tests.inventory.making import camera, document, report
from tests.inventory.pages.scene import PASSWORD, Scene, devices
from tests.inventory.provider import provider
from tests.inventory.serving import Served, serving

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="missing tool: chromium (Debian package chromium)")
WIDTHS = (1280, 390)
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def served(scene_database: dict[str, Any], tmp_path: Path) -> Generator[Served]:
    """The scene, served as users have it."""
    with serving(scene_database, tmp_path) as running:
        yield running


@pytest.fixture
def chromium() -> Iterator[Any]:
    """Starts Debian's Chromium, without a window, when it is called.

    Its driver runs an event loop, beside which Django refuses to ask the database: tests do that before.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only these tests want it

    open_: list[Any] = []

    def start() -> Any:
        driver = sync_playwright().start()
        open_.append(driver)
        # Its sandbox wants rights that a container does not give; only our own pages are opened.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        open_.append(browser)
        return browser

    yield start
    for thing in reversed(open_):
        thing.close() if hasattr(thing, "close") else thing.stop()


def _visit(browser: Any, served: Served, width: int = 1280) -> tuple[Any, list[str]]:
    """A page of a new visitor, with the list of all that it complains about."""
    home = f"http://127.0.0.1:{served.port}"
    page = browser.new_context(viewport={"width": width, "height": 900}, base_url=home).new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on(
        "request", lambda asked: None if asked.url.startswith(home) else faults.append(f"asks {asked.url}")
    )
    return page, faults


def _sign_in(page: Any, name: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview", exact=True).wait_for()


def test_a_planner_takes_a_camera_down(scene: Scene, served: Served, chromium: Any, tmp_path: Path) -> None:
    """Sign in, filter, schedule, say it is removed, see it verified gone after the next scans, export; refused elsewhere."""
    device = Device.objects.get(site=scene.library, brand="Lorex", hostname="nvr-2.example")
    foreign = Device.objects.filter(site=scene.barracks).latest("pk").pk
    agent = Agent.objects.get(name="box-council")
    _, token = tokens.issue(agent)
    base = scene.library.pk * 256
    browser = chromium()
    page, faults = _visit(browser, served)

    page.goto("/devices?finding=flagged")
    page.get_by_label("User name").fill("planner")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert "not known here" in page.get_by_role("alert").inner_text()
    faults.clear()  # the browser notes the answer 422 of the wrong password
    page.get_by_label("User name").fill("planner")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    # Search while typing: nothing is submitted.
    page.get_by_label("Search").press_sequentially("lorex nvr-2")
    page.get_by_text("2 devices", exact=True).first.wait_for()
    page.locator("#id_plan_state").select_option(label="Found")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=device.address).wait_for()

    # Without a day the form says so; the day is then given.
    page.get_by_label(f"Tick {device}").check()
    page.get_by_label("Step", exact=True).select_option("scheduled")
    page.get_by_role("button", name="Take the step").click()
    page.get_by_role("link", name="Due on: Enter the day").click()
    faults.clear()  # as above
    page.get_by_label("Due on").fill("2031-05-06")
    page.get_by_role("button", name="Take the step").click()
    page.get_by_text("1 device is scheduled now.").wait_for()

    page.goto("/plan/calendar?month=2031-05")
    page.get_by_role("link", name="1 due on 6 May").click()
    page.get_by_role("link", name=device.address).click()
    page.get_by_label("Step", exact=True).select_option("removed")
    page.get_by_role("button", name="Take the step").click()
    page.get_by_text("0 of 3").wait_for()

    # Three scans look where it was, and do not see it.
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(1, 4):
        at = now + timedelta(minutes=number)
        rows = [row for row in devices(base, at) if row["addresses"] != [device.address]]
        body = json.dumps(document(rows, at)).encode()
        answer = served.ask(
            "POST",
            f"/api/v1/reports?site=library-1&report=after-{number}",
            body,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        assert answer.status == 200, answer.body
    page.goto(f"/devices/{device.pk}")
    page.get_by_text("Removal: Verified gone").wait_for()
    assert "3 complete scans of its address did not see it" in page.locator("main").inner_text().replace(
        "\n", " "
    )

    page.goto("/devices?plan_state=verified-gone")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    download.value.save_as(tmp_path / "gone.csv")
    assert device.address in (tmp_path / "gone.csv").read_text()
    assert not faults

    assert page.goto(f"/devices/{foreign}").status == 404
    page.get_by_role("heading", name="There is no such page").wait_for()
    assert page.goto("/audit").status == 403
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You have signed out").wait_for()


@pytest.mark.parametrize("scene_database", ["sqlite"], indirect=True)
def test_a_planner_plans_for_all_that_match(
    scene: Scene, served: Served, chromium: Any, tmp_path: Path
) -> None:
    """Tick all of a list that has two pages, confirm the number; the sheet shows what it would change first."""
    shots = Path(os.environ.get("CAMCENSUS_SHOTS") or tmp_path)
    rows = [camera(9_000 + number, timezone.now()) for number in range(60)]
    report("many", rows, timezone.now(), where=scene.library)
    count = Device.objects.filter(site=scene.library, plan_state="found").count()
    sheet = tmp_path / "plans.csv"
    lines = [
        f"{row.pk},exempt,,2031-05-06,Works"
        for row in Device.objects.filter(site=scene.school, plan_state="found")
    ]
    sheet.write_text("\n".join(["device,state,due,exempt_until,reason", *lines]))
    browser = chromium()
    for width in WIDTHS:
        page, faults = _visit(browser, served, width)
        _sign_in(page, "planner")
        page.goto("/plan/sheet")
        page.get_by_label("Sheet").set_input_files(sheet)
        page.get_by_role("button", name="Only check it").click()
        page.get_by_role("heading", name="What it would change").wait_for()
        page.screenshot(path=shots / f"sheet-preview-{width}.png", full_page=True)
        assert _violations(page) == []
        page.goto("/devices?site=library-1&plan_state=found")
        page.get_by_label(f"Not only those: all {count} devices").check()
        page.get_by_label("Step", exact=True).select_option("scheduled")
        page.get_by_label("Due on").fill("2031-05-06")
        page.screenshot(path=shots / f"devices-every-{width}.png", full_page=True)
        page.get_by_role("button", name="Take the step").click()
        page.get_by_role("heading", name=f"{count} devices at 1 site").wait_for()
        page.screenshot(path=shots / f"devices-confirm-{width}.png", full_page=True)
        assert _violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert faults == []
    page.get_by_role("button", name=f"Take the step for {count} devices").click()
    page.get_by_text(f"{count} devices are scheduled now.").wait_for()


@pytest.mark.parametrize("scene_database", ["sqlite"], indirect=True)
def test_deadlines_are_set_moved_and_taken_back(scene: Scene, served: Served, chromium: Any) -> None:
    """By whoever administers everything; what is late by then is overdue, as the device says."""
    device = Device.objects.filter(site=scene.barracks, plan_state="found", manufacturer="Dahua").latest("pk")
    page, faults = _visit(chromium(), served)
    _sign_in(page, "root")
    page.goto("/policies")
    for day, shown in (("2031-05-06", "6 May 2031"), ("2025-05-06", "6 May 2025")):
        page.get_by_label("Policy").select_option("uk-2022-sensitive-sites")
        page.get_by_label("At sites that are").select_option("critical")
        page.get_by_label("Gone by").fill(day)
        page.get_by_role("button", name="Set the deadline").click()
        page.get_by_text(f"{shown} from critical sites").wait_for()
        assert page.get_by_text("from critical sites").count() == 1
    assert _violations(page) == []
    page.goto(f"/devices/{device.pk}")
    page.get_by_text("by a policy's deadline").wait_for()
    page.goto("/plan/overdue")
    page.get_by_role("link", name="Old Barracks").first.wait_for()
    page.goto("/policies")
    page.get_by_role("button", name="Take back the deadline of uk-2022-sensitive-sites").click()
    page.get_by_text("The deadline is taken back.").wait_for()
    assert page.get_by_text("from critical sites").count() == 0
    assert faults == []


@pytest.mark.parametrize("scene_database", ["sqlite"], indirect=True)
def test_single_sign_on_leads_in_and_out(
    scene_database: dict[str, Any], chromium: Any, tmp_path: Path
) -> None:
    """The button leads to the provider and back in; signing out ends the session there, too."""
    shots = Path(os.environ.get("CAMCENSUS_SHOTS") or tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("of the client")
    with provider() as idp:
        idp.knows("s-1", preferred_username="grace", groups=["cctv"])
        with serving(
            scene_database,
            tmp_path / "state",
            CAMCENSUS_OIDC_ISSUER=idp.issuer,
            CAMCENSUS_OIDC_CLIENT_ID="camcensus",
            CAMCENSUS_OIDC_CLIENT_SECRET_FILE=str(secret),
            CAMCENSUS_OIDC_NAME="Northshire",
            CAMCENSUS_OIDC_ROLES="cctv=planner@Northshire Council",
        ) as served:
            browser = chromium()
            for width in WIDTHS:
                page, _ = _visit(browser, served, width)
                page.goto("/sites")
                page.screenshot(path=shots / f"sign-in-single-{width}.png", full_page=True)
                assert _violations(page) == []
            page.get_by_role("link", name="Sign in with Northshire").click()
            page.get_by_placeholder("sub").fill("s-1")
            page.get_by_role("button", name="Authorize").click()
            page.get_by_role("heading", name="Sites", exact=True).wait_for()
            page.goto("/account")
            page.get_by_role("cell", name="Planner").wait_for()
            page.screenshot(path=shots / "account-single-390.png", full_page=True)
            assert _violations(page) == []
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url(f"{idp.issuer}/oauth2/end_session**")
            assert page.goto("/sites").url.startswith(f"http://127.0.0.1:{served.port}/sign-in")


def _addresses(scene: Scene) -> dict[str, str]:
    """Each page that has a look of its own, by the name of its picture."""
    site = scene.school
    run = Run.objects.filter(site=site, agent__isnull=False).latest("pk")
    devices_ = {
        state: Device.objects.filter(site=site, plan_state=state).latest("pk").pk
        for state in ("returned", "removed")
    }
    recorder = Device.objects.filter(site=site, device_class="recorder").earliest("pk").pk
    calling = Device.objects.get(site=site, cloud_calls__isnull=False).pk
    return {
        "device-recorder": f"/devices/{recorder}",
        "device-calling": f"/devices/{calling}",
        "devices-switch": "/devices?column=maker&column=switch&column=site",
        "overview": "/",
        "devices": "/devices",
        "devices-filtered": "/devices?finding=flagged&q=lorex&device_class=recorder",
        "devices-none": "/devices?q=nothing-is-like-this",
        "devices-wrong": "/devices?finding=nonsense",
        "device-returned": f"/devices/{devices_['returned']}",
        "device-removed": f"/devices/{devices_['removed']}",
        "sites": "/sites",
        "site": f"/sites/{site.pk}",
        "plan": "/plan",
        "calendar": "/plan/calendar",
        "progress": "/plan/progress",
        "overdue": "/plan/overdue",
        "sheet": "/plan/sheet",
        "publication": "/plan/publication",
        "policies": "/policies",
        "runs": "/runs",
        "run": f"/runs/{run.pk}",
        "agents": "/agents",
        "agent": f"/agents/{run.agent_id}",
        "people": "/people",
        "person": f"/people/{scene.people['viewer'].pk}",
        "audit": "/audit",
        "account": "/account",
        "not-there": "/devices/999999",
    }


def _violations(page: Any) -> list[str]:
    source = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(source)
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", AXE_RULES
    )
    assert len(found["passes"]) > 20
    return [
        f"{row['id']}: {row['help']}: {node['html'][:200]}"
        for row in found["violations"]
        for node in row["nodes"][:3]
    ]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("scene_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_for_everybody(
    scene: Scene, served: Served, chromium: Any, tmp_path: Path, width: int
) -> None:
    """axe-core finds nothing at either width, with all that unfolds unfolded; no page is wider than the screen."""
    addresses = _addresses(scene)
    shots = Path(os.environ.get("CAMCENSUS_SHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    page, faults = _visit(chromium(), served, width)
    page.goto("/sign-in")
    page.screenshot(path=shots / f"sign-in-{width}.png", full_page=True)
    found = {"sign-in": _violations(page)}
    _sign_in(page, "administrator")
    for name, address in addresses.items():
        page.goto(address)
        page.screenshot(path=shots / f"{name}-{width}.png", full_page=True)
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        found[name] = _violations(page)
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wide > 0:
            found[name].append(f"{wide} pixels wider than the screen")
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert [fault for fault in faults if "status of 4" not in fault] == []


@pytest.mark.parametrize("scene_database", ["sqlite"], indirect=True)
def test_the_keyboard_is_enough(scene: Scene, served: Served, chromium: Any) -> None:
    """The first stop skips to the content, each stop is seen, the menu of a phone opens."""
    assert scene.people
    page, _ = _visit(chromium(), served, 390)
    _sign_in(page, "planner")
    page.goto("/devices")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(12):
        page.keyboard.press("Tab")
        look = page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow; })()"
        )
        assert look != "nonenone"
    menu = page.get_by_role("button", name="Menu")
    assert not page.get_by_role("link", name="Sites").is_visible()
    menu.press("Enter")
    page.get_by_role("link", name="Sites").press("Enter")
    page.get_by_role("heading", name="Sites", exact=True).wait_for()


@pytest.mark.parametrize("scene_database", ["sqlite"], indirect=True)
def test_pages_work_without_scripts(scene: Scene, served: Served, chromium: Any) -> None:
    """Filter, tick, step: the same by plain forms."""
    device = Device.objects.filter(site=scene.library, plan_state="found").latest("pk")
    page = (
        chromium()
        .new_context(java_script_enabled=False, base_url=f"http://127.0.0.1:{served.port}")
        .new_page()
    )
    _sign_in(page, "planner")
    page.goto("/devices")
    page.get_by_label("Search").fill(device.address)
    page.get_by_role("button", name="Show").click()
    page.get_by_label(f"Tick {device}").check()
    page.get_by_label("Step", exact=True).select_option("exempt")
    page.get_by_label("Reason").fill("Behind a wall")
    page.get_by_label("Exempt until").fill("2031-05-06")
    page.get_by_role("button", name="Take the step").click()
    page.get_by_text("1 device is exempt now.").wait_for()
