"""Pages of `a2 report` in a real browser: what the pointer and the keyboard do, and that nothing is asked for.

Skipped where there is no Chromium. With A2_AXE, the path of axe-core's axe.min.js, pages are checked for accessibility.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, draw_classes, once
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from test_replication_views import claim, judged, results

from a2cli.reports.report import new_report
from a2cli.runs.directory import Run

pytestmark = pytest.mark.slow
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = os.environ.get("A2_AXE")
LIGHT, DARK = "light", "dark"
Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def pages(forked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pages: one.html of a training, two.html of two, claims.html of a replication."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    place = tmp_path_factory.mktemp("pages")

    def a2(*words: str) -> None:
        subprocess.run([forked / "a2", *once(words)], cwd=place, check=True, capture_output=True, text=True)

    draw_classes(place / "set", count=10)
    a2("train-cnn", "--data", "set", *TINY, "--epochs", "6", "--out", "one")
    a2("train-cnn", "--data", "set", *TINY, "--epochs", "4", "--seeds", "2", "--out", "other")
    (place / "claims").mkdir()
    run, found = Run(place / "claims"), results(claim("1.4-x", "1.4", judged("supported", "report's")))
    run.write_config("replicate", {"ledger": "comp541"})
    run.write_report(new_report("replicate", {"ledger": "comp541"}, {"a2": "0"}, results=found))
    a2("report", "one", "-o", "one.html")
    a2("report", "one", "other", "-o", "two.html")
    a2("report", "claims", "-o", "claims.html")
    return place


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(pages: Path, browser: Browser) -> Iterator[Opened]:
    """Open a page by its name; whatever is asked for, or complained of, fails the test."""
    contexts, wrong = [], list[str]()

    def open_page(name: str, width: int = 1000, scheme: Any = LIGHT, *, scripts: bool = True) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts,
            permissions=["clipboard-read", "clipboard-write"],
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        address = (pages / f"{name}.html").as_uri()
        page.on("request", lambda asked: wrong.append(asked.url) if asked.url[:5] not in ("data:", "file:") else None)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def charts_of(page: Page) -> list[dict[str, Any]]:
    return [json.loads(text) for text in page.locator("script.chart-data").all_text_contents()]


def chart(page: Page, title: str) -> Locator:
    return page.locator(".chart").filter(has=page.locator(".chart-title", has_text=title)).first


def values(shown: Locator) -> list[str]:
    return [text.removeprefix(": ") for text in shown.locator(".value").all_text_contents()]


def drawing(where: Locator) -> str:
    """Return what a chart has drawn."""
    return str(where.locator("canvas").evaluate("canvas => canvas.toDataURL()"))


@pytest.mark.parametrize("name", ["one", "two", "claims"])
@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_a_page_opens_without_a_complaint(name: str, scheme: str, opened: Opened) -> None:
    page = opened(name, scheme=scheme)
    assert page.locator(".chart canvas").count() == len(charts_of(page)) == {"one": 3, "two": 9, "claims": 0}[name]
    assert page.locator("h1").inner_text() == {"one": "a2 train-cnn", "two": "2 runs", "claims": "a2 replicate"}[name]


@pytest.mark.parametrize("name", ["one", "two", "claims"])
def test_a_page_is_laid_out_few_times_however_much_is_on_it(name: str, opened: Opened) -> None:
    """Measuring a table or a chart after another was changed would lay out the whole page again, for each of them."""
    page = opened(name)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.reload()
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    assert 0 < metrics["LayoutCount"] < 15, metrics


@pytest.mark.parametrize("name", ["one", "two", "claims"])
def test_a_narrow_screen_needs_no_scrolling_aside(name: str, opened: Opened) -> None:
    page = opened(name, width=360)
    for folded in page.locator("details").all():
        folded.evaluate("one => { one.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_pointer_reads_values_in_all_charts_of_one_x(opened: Opened) -> None:
    page = opened("one")
    loss, accuracy = (chart(page, title) for title in ("Loss", "Accuracy"))
    data = {one["title"]: one for one in charts_of(page)}
    assert values(loss) == ["", ""]
    over = loss.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 40)
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 41)
    for shown, title in ((loss, "Loss"), (accuracy, "Accuracy")):
        assert [float(text) for text in values(shown)] == pytest.approx(
            [line["y"][-1] for line in data[title]["lines"]], rel=1e-4
        )
        assert "epoch 6" in shown.locator(".tools").inner_text()


def test_lines_are_switched_and_axes_changed(opened: Opened) -> None:
    page = opened("two")
    loss = chart(page, "Loss")
    drawn = [drawing(loss)]
    switch = loss.locator(".lines button").first
    assert switch.get_attribute("aria-pressed") == "true"
    switch.click()
    assert switch.get_attribute("aria-pressed") == "false"
    drawn.append(drawing(loss))
    loss.get_by_role("button", name="log y axis").click()
    drawn.append(drawing(loss))
    loss.get_by_role("button", name="log x axis").click()
    drawn.append(drawing(loss))
    switch.click()
    drawn.append(drawing(loss))
    assert all(one != next_one for one, next_one in pairwise(drawn)), "each changes what is drawn"


def test_the_pointer_zooms_and_shows_all_again(opened: Opened) -> None:
    page = opened("one")
    loss = chart(page, "Loss")
    whole = drawing(loss)
    over = loss.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60, steps=5)
    page.mouse.up()
    page.mouse.move(1, 1)
    assert drawing(loss) != whole
    loss.get_by_role("button", name="show all").click()
    assert drawing(loss) == whole


def test_the_keyboard_alone_reads_zooms_and_switches(opened: Opened) -> None:
    page = opened("one")
    loss = chart(page, "Loss")
    lines = next(one for one in charts_of(page) if one["title"] == "Loss")["lines"]
    whole = drawing(loss)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.className + document.activeElement.tagName"))
        if page.evaluate("document.activeElement.className") == "plot":
            break
    assert {"SUMMARY", "BUTTON", "plotDIV"} <= reached
    plot = loss.get_by_role("slider", name="Chart: Loss")
    assert plot.get_attribute("aria-valuetext") == "no point chosen"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert [float(text) for text in values(loss)] == pytest.approx([line["y"][1] for line in lines], rel=1e-4)
    training, validation = values(loss)
    assert plot.get_attribute("aria-valuetext") == f"epoch 2: training: {training}; validation: {validation}"
    assert plot.get_attribute("aria-valuenow") == "2"
    assert chart(page, "Accuracy").locator(".plot").get_attribute("aria-valuetext") != "no point chosen", "one cursor"
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert ", kept" in str(plot.get_attribute("aria-valuetext"))
    said = loss.locator("[aria-live]")
    page.keyboard.press("+")
    assert drawing(loss) != whole and said.inner_text() == "epoch 2.25 to 4.75 shown"
    page.keyboard.press("0")
    assert drawing(loss) == whole and said.inner_text() == "epoch 1 to 6 shown"
    loss.locator(".lines button").first.focus()
    page.keyboard.press("Enter")
    assert loss.locator(".lines button").first.get_attribute("aria-pressed") == "false"


def test_what_scrolls_is_reached_with_the_keyboard_and_says_so(opened: Opened) -> None:
    page = opened("one", width=360)
    for folded in page.locator("details").all():
        folded.evaluate("one => { one.open = true; }")
    page.wait_for_timeout(100)
    sides = page.locator(".scroll").evaluate_all("all => all.map(one => one.scrollWidth > one.clientWidth)")
    reached = page.locator(".scroll").evaluate_all("all => all.map(one => one.tabIndex === 0)")
    assert sides == reached and True in sides and False in sides


def test_an_image_opens_in_full_size(opened: Opened) -> None:
    page = opened("one")
    opener = page.get_by_role("button", name="Full size: Confusion matrix: each true class by answers")
    opener.focus()
    page.keyboard.press("Enter")
    large = page.locator("dialog")
    assert large.is_visible()
    wide = large.locator("img").evaluate("image => [image.naturalWidth, image.width]")
    assert wide[0] == wide[1] > 400
    page.keyboard.press("Escape")
    assert not large.is_visible()
    opener.click()
    large.get_by_role("button", name="Close").click()
    assert not large.is_visible()


def test_numbers_are_copied_as_csv(opened: Opened, pages: Path) -> None:
    page = opened("one")
    figure = page.locator("figure").filter(has=page.locator("figcaption", has_text="Confusion matrix"))
    figure.locator("summary").click()
    figure.get_by_role("button", name="Copy as CSV: Confusion matrix: each true class by answers").click()
    figure.locator("[aria-live]", has_text="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == (pages / "one/figures/confusion.csv").read_text()


def test_without_scripts_figures_are_images(opened: Opened) -> None:
    page = opened("one", scripts=False)
    curves = page.locator("img[alt^='Figure: Curves']")
    assert curves.is_visible() and page.locator("canvas").count() == 0


def test_on_paper_charts_are_light_and_whole(opened: Opened) -> None:
    page = opened("one", scheme=DARK)
    dark = drawing(chart(page, "Loss"))
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert drawing(chart(page, "Loss")) != dark
    assert not chart(page, "Loss").locator(".tools").is_visible()


@pytest.mark.parametrize("name", ["one", "two", "claims"])
@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_a_page_is_accessible(name: str, scheme: str, pages: Path, browser: Browser) -> None:
    if AXE is None:
        pytest.skip("A2_AXE names no axe-core")
    context = browser.new_context(bypass_csp=True, color_scheme="dark" if scheme == DARK else "light")
    page = context.new_page()
    page.goto((pages / f"{name}.html").as_uri())
    for folded in page.locator("details").all():
        folded.evaluate("one => { one.open = true; }")
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run()")
    context.close()
    assert len(found["passes"]) > 10
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
