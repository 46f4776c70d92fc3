"""The program after every chapter, started by the text's own command and driven in Chromium to what it promises."""

import json
import os
import re

import pytest

from learn.tutorial.blocks import build, chapter_file, last_chapter
from tests.tutorial import readers_folder, stages
from tests.tutorial.stages import PICTURES, SHOWN, Reader

COMMAND = ("python", "wsgi.py")


def test_every_stage_shows_its_promise_over_one_kept_folder(browser, base_url, tmp_path):
    """All stages run over the same `instance/`, as the reader's do: a column that comes too late would be a 500."""
    folder, shown = tmp_path / "my-site", {}
    for chapter in range(1, last_chapter() + 1):
        assert f"\n{' '.join(COMMAND)}\n" in chapter_file(chapter).read_text() or chapter == 7
        readers_folder.write(build(chapter), folder)
        with readers_folder.serving(folder, base_url, *COMMAND):
            reader = Reader(browser, base_url, folder)
            stages.show(chapter, reader)
            shown[f"{chapter:02}"] = stages.words_of(reader.page)
            if os.environ.get("TAKE_PICTURES"):
                PICTURES.mkdir(exist_ok=True)
                reader.page.screenshot(path=PICTURES / f"{chapter:02}.png", caret="initial")
            for context in browser.contexts:
                context.close()
        assert "Traceback" not in (folder / "server.log").read_text(), f"Chapter {chapter}: see its server.log"
    if os.environ.get("TAKE_PICTURES"):
        SHOWN.write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n")
    kept = json.loads(SHOWN.read_text())
    for chapter, words in shown.items():
        assert kept[chapter] == words, f"The picture of chapter {chapter} shows something else: TAKE_PICTURES=1"
        assert (PICTURES / f"{chapter}.png").exists()


def test_stage_that_does_not_show_its_promise_is_named(browser, base_url, tmp_path):
    program = build(1)
    home = "app/templates/home.html"
    readers_folder.write(program | {home: program[home].replace("fingerprint", "password")}, tmp_path / "my-site")
    with readers_folder.serving(tmp_path / "my-site", base_url, *COMMAND):
        reader = Reader(browser, base_url, tmp_path / "my-site")
        reader.page.set_default_timeout(1000)
        with pytest.raises(
            AssertionError, match=r"^Chapter 1 doesn't show what it promises, at http://localhost:\d+/, which"
        ):
            stages.show(1, reader)
        for context in browser.contexts:
            context.close()


def test_attack_of_chapter_3_works_before_the_signature(browser, base_url, tmp_path):
    """The reader sees the attack work first: the program as it stands in the middle of the chapter."""
    from learn.tutorial.blocks import apply, blocks_of

    lines = chapter_file(3).read_text().splitlines()
    program = build(2)
    for block in blocks_of(3):
        if block.line < lines.index("## Break in"):
            program = apply(program, block)
    readers_folder.write(program, tmp_path / "my-site")
    with readers_folder.serving(tmp_path / "my-site", base_url, *COMMAND):
        reader = Reader(browser, base_url, tmp_path / "my-site")
        reader.ask("you@example.com")
        reader.page.goto(reader.link())
        reader.sees("You’ll be signed in as you@example.com")
        reader.page.goto("/sign-in/link/ada@example.com")
        reader.sees("You’ll be signed in as ada@example.com")
        for context in browser.contexts:
            context.close()


def test_attack_of_chapter_6_works_before_it(browser, base_url, tmp_path):
    readers_folder.write(build(5), tmp_path / "my-site")
    with readers_folder.serving(tmp_path / "my-site", base_url, *COMMAND):
        reader = Reader(browser, base_url, tmp_path / "my-site")
        reader.ask("mallory@example.com")
        link = reader.link()
        reader.page = reader.open_browser().new_page()
        reader.page.goto(link)
        reader.press("Sign in")
        reader.sees("You’re signed in as mallory@example.com")
        for context in browser.contexts:
            context.close()


def test_attack_by_a_form_works_before_chapter_7(browser, base_url, tmp_path):
    folder, evil_page = tmp_path / "my-site", "evil/index.html"
    readers_folder.write(build(6) | {evil_page: build(7)[evil_page]}, folder)
    assert f"\n{stages.EVIL_SERVER}\n" in chapter_file(7).read_text()
    with readers_folder.serving(folder, base_url, *COMMAND), stages.evil_site(folder, base_url) as evil:
        reader = Reader(browser, base_url, folder)
        reader.sign_in("you@example.com")
        reader.page.goto(evil)
        reader.press("Show me the prize")
        reader.is_at("/")
        reader.page.goto("/account")
        reader.is_at("/sign-in?next=/account")
        for context in browser.contexts:
            context.close()


def test_attack_by_next_works_with_all_that_chapter_7_has_before_it(browser, base_url, tmp_path):
    """The headers are there by then, and the text says so: in Chromium they stop a form that is redirected, no link."""
    from learn.tutorial.blocks import apply, blocks_of

    lines = chapter_file(7).read_text().splitlines()
    program = build(6)
    for block in blocks_of(7):
        if block.line < lines.index("## Where `next` may lead"):
            program = apply(program, block)
    folder = tmp_path / "my-site"
    readers_folder.write(program, folder)
    with readers_folder.serving(folder, base_url, *COMMAND), stages.evil_site(folder, base_url) as evil:
        reader = Reader(browser, base_url, folder)
        reader.sign_in("you@example.com")
        reader.page.goto(f"/sign-in?next={evil}")
        reader.sees("You have won!")
        for context in browser.contexts:
            context.close()


def test_commands_of_the_text_lead_from_an_empty_folder_to_the_tests(tmp_path):
    """The commands of chapter 1 as they stand there, but for the download of the packages."""
    import subprocess
    import sys

    text = chapter_file(1).read_text()
    commands = [
        line for block in re.findall(r"^```sh run\n(.*?)^```$", text, flags=re.M | re.S) for line in block.splitlines()
    ]
    assert "python -m pip install -r requirements.txt" in commands
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    script = ["set -e", "python3() { " + sys.executable + ' "$@"; }']
    for command in commands:
        if command.startswith("python -m pip install"):
            link = f"echo {packages} > $(python -c 'import site; print(site.getsitepackages()[0])')/packages.pth"
            script += [link, "cat requirements.txt"]
        elif command == "python wsgi.py":
            script.append("python -c 'import wsgi; print(wsgi.app.test_client().get(\"/\").status)'")
        else:
            script.append(command)
        if command == "cd my-site":
            files = build(1)
            # What the reader types, chapter by chapter.
            for file, content in files.items():
                path = tmp_path / "typed" / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
            script.append("cp -r ../typed/. .")
    result = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env=readers_folder.environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "200 OK" in result.stdout
    assert "2 passed" in result.stdout
