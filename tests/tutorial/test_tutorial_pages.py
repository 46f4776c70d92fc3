"""The tutorial as the site serves it."""

import subprocess
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask

import learn
from app.config import ConfigurationError
from learn.tutorial import pages
from learn.tutorial.blocks import blocks_of, build, last_chapter
from tests.conftest import ROOT

CHAPTERS = range(1, last_chapter() + 1)
PATHS = ["/tutorial/", "/tutorial/glossary", *(f"/tutorial/{number}" for number in CHAPTERS)]

ELSEWHERE = {
    "FLASK_SITE_URL": "https://example.org",
    "FLASK_SECRET_KEY": "4f1d9c0b7a6e5382d1c4b3a29f8e7d6c",
    "FLASK_MAIL_SERVER": "mail.example.org",
    "FLASK_MAIL_DEFAULT_SENDER": "latchkey@example.org",
}


@pytest.fixture
def site(app) -> Flask:
    """The site with its teaching parts."""
    learn.init_app(app, {})
    return app


def get(site: Flask, path: str):
    return site.test_client().get(path, base_url=site.config["SITE_URL"], buffered=True)


def has_tutorial(site: Flask) -> bool:
    return "tutorial.index" in site.view_functions


@pytest.mark.parametrize("path", PATHS)
def test_page_is_there(site, path):
    assert get(site, path).status_code == 200


def test_chapter_that_does_not_exist_is_not_found(site):
    for number in (0, last_chapter() + 1):
        assert get(site, f"/tutorial/{number}").status_code == 404


def test_every_link_and_picture_of_a_page_leads_somewhere(site):
    import re

    for path in PATHS:
        for target in set(re.findall(r'(?:href|src)="(/[^"]*)"', get(site, path).text)):
            assert get(site, target).status_code in (200, 303), f"{path} leads to {target}"


def test_page_shows_every_new_line_of_its_chapter():
    """A reader who copies what the page marks as new or whole gets every line of the program."""
    import html
    import re

    for number in CHAPTERS:
        shown = html.unescape(re.sub(r"<[^>]+>", "", pages.chapter(number).html))
        before, after = build(number - 1), build(number)
        for file, text in after.items():
            for line in set(text.splitlines()) - set(before.get(file, "").splitlines()):
                assert line.strip() in shown, f"The page of chapter {number} lacks {line!r} of {file}"


def test_added_and_removed_lines_are_marked():
    text = pages.chapter(4).html
    assert '<ins data-line="+ 52">' in text
    assert '<del data-line="- 1">' in text


def test_front_page_leads_to_the_tutorial_and_the_sign_in_page_does_not(site):
    assert ">Build it</a>" in get(site, "/").text
    assert ">Build it</a>" not in get(site, "/sign-in").text


def test_tutorial_is_on_by_default_on_localhost_only(make_app):
    here, elsewhere = make_app(), make_app(**ELSEWHERE)
    for app in (here, elsewhere):
        learn.init_app(app, {})
    assert has_tutorial(here)
    assert not has_tutorial(elsewhere)
    assert "Build it" not in get(elsewhere, "/").text


@pytest.mark.parametrize(("setting", "is_on"), [("true", True), ("On", True), ("0", False), ("no", False)])
def test_setting_turns_it_on_or_off(make_app, setting, is_on):
    for environ in ({}, ELSEWHERE):
        app = make_app(**environ)
        learn.init_app(app, {"FLASK_LEARN": setting})
        assert has_tutorial(app) == is_on


def test_setting_that_says_neither_stops_the_start(app):
    with pytest.raises(ConfigurationError, match=r"^FLASK_LEARN='perhaps' is not usable: say true or false\.$"):
        learn.init_app(app, {"FLASK_LEARN": "perhaps"})


def test_app_never_imports_the_teaching_parts():
    from tests.test_structure import imports

    for file in (ROOT / "app").rglob("*.py"):
        assert not any(name.partition(".")[0] == "learn" for name in imports(file)), file


def test_start_does_not_import_what_only_the_tutorial_needs(tmp_path):
    script = (
        f"import sys, learn, app; learn.init_app(app.create_app({{}}, {str(tmp_path)!r}), {{}}); print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {"markdown_it", "pygments"} & set(modules.stdout.split())


class TestInChromium:
    """How the pages look and work in a browser."""

    @pytest.fixture
    def page(self, site, browser, base_url):
        from threading import Thread

        from werkzeug.serving import make_server

        site.config.update(SITE_URL=base_url, HOST=base_url.partition("://")[2])
        server = make_server("localhost", int(base_url.rpartition(":")[2]), site, threaded=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        context = browser.new_context(base_url=base_url, permissions=["clipboard-read", "clipboard-write"])
        yield context.new_page()
        context.close()
        server.shutdown()
        thread.join()
        server.server_close()

    def test_pages_fit_and_axe_finds_nothing(self, page):
        for path in ("/tutorial/", "/tutorial/glossary", "/tutorial/1", "/tutorial/7"):
            for width in (360, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                page.goto(path)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width}"
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    found = Axe().run(page)
                    assert not found.violations_count, f"{path} at {width}, {scheme}: {found.generate_report()}"

    def test_copy_takes_the_new_lines(self, page):
        page.goto("/tutorial/3")
        wanted = {block.file: block.text for block in blocks_of(3) if block.operation == "new"}
        figure = page.locator("figure", has_text="app/sign_in_links.py").first
        figure.get_by_role("button", name="Copy").click()
        figure.get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == wanted["app/sign_in_links.py"]

    def test_pages_work_without_scripts(self, page, browser, base_url):
        context = browser.new_context(base_url=base_url, java_script_enabled=False)
        plain = context.new_page()
        plain.goto("/tutorial/3")
        plain.get_by_role("link", name="Chapter 4").click()
        plain.get_by_role("heading", name="Works once").wait_for()
        context.close()
