"""`flask learn export`: the teaching pages as files, in which every link works."""

import re
import subprocess
import sys
from pathlib import Path

import html5lib
import pytest

import learn
from learn import export
from learn.lab import runner
from tests.conftest import ROOT


@pytest.fixture
def files(app) -> dict[str, bytes]:
    """Return the exported files by name."""
    learn.init_app(app, {})
    return export.collect(app)


def links_of(html: bytes) -> list[str]:
    """Return the targets of links, pictures, styles and scripts."""
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    return [value for element in tree.iter() for name in ("href", "src") if (value := element.get(name)) is not None]


def ids_of(html: bytes) -> set[str]:
    return {element.get("id") for element in html5lib.parse(html, namespaceHTMLElements=False).iter()} - {None}


def test_every_link_of_the_exported_pages_works(files):
    pages = {name: content for name, content in files.items() if name.endswith(".html")}
    ids = {name: ids_of(content) for name, content in pages.items()}
    checked = 0
    for name, content in pages.items():
        for link in links_of(content):
            if re.match(r"https?:|data:", link):
                continue
            assert not link.startswith("/"), f"{name} needs a server for {link}"
            path, _, fragment = link.partition("#")
            target = str((Path("/", name).parent / path).resolve().relative_to("/")) if path else name
            assert target in files, f"{name} links to {link}, which isn't there"
            assert not fragment or fragment in ids[target], f"{name} links to {link}, which has no such place"
            checked += 1
    assert checked > 500


def test_exported_pages_have_no_form(files):
    assert not [name for name, content in files.items() if b"<form" in content]


def test_all_chapters_examples_and_attacks_are_exported(files):
    assert {f"tutorial/{number}.html" for number in range(1, 13)} <= set(files)
    assert {"index.html", "inside/example.html", "inside/example/refused.html", "lab/index.html"} <= set(files)
    assert {f"lab/{name}.html" for name in runner.all_attacks()} <= set(files)


def test_command_writes_the_files_into_an_empty_folder(tmp_path):
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "learn", "export", str(tmp_path / "pages")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+ files are in .+\n", done.stdout)
    assert done.stderr == ""
    assert (tmp_path / "pages/tutorial/1.html").exists()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 1
    assert "is not empty" in again.stderr
