"""`flask learn export FOLDER`: the teaching pages as files, for a project page without a server."""

import logging
import posixpath
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import click
from flask import Flask
from flask.cli import AppGroup, ScriptInfo

from app import log

learn = AppGroup("learn", short_help="The teaching pages.")

FIRST = "/tutorial/"
STARTS = (FIRST, "/inside/example", "/inside/example/refused", "/lab/")

# The pages that need no account, and the files that they load.
PAGES = re.compile(r"/(tutorial/|inside/example|inside/code/|lab/|learn/|static/)")

# What needs a server. Forms are never nested.
FORMS = re.compile(r"<form\b.*?</form>|<footer>.*?</footer>", re.DOTALL)
LINKS = re.compile(r'(?P<name>\b(?:href|src|action))="(?P<path>/[^"#?]*)(?P<query>\?[^"#]*)?(?P<fragment>#[^"]*)?"')

FRONT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={0}"><title>Latchkey</title></head>
<body><a href="{0}">Begin</a></body>
</html>
"""


@learn.command(short_help="Write the teaching pages as files.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def export(info: ScriptInfo, folder: Path) -> None:
    """Write the tutorial, the example ceremonies and the lab's recorded results into an empty FOLDER."""
    if folder.exists() and any(folder.iterdir()):
        click.echo(f"{folder} is not empty. Name a folder that is empty, or isn't there yet.", err=True)
        sys.exit(1)
    # A line for each page would be no help.
    log.logger.setLevel(logging.WARNING)
    files = collect(info.load_app())
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    click.echo(f"{len(files)} files are in {folder}. Open {folder / 'index.html'}.")


def collect(app: Flask) -> dict[str, bytes]:
    """Return the contents of all files by their name. Links lead from file to file. Other links are no links."""
    client, waiting, found = app.test_client(), list(STARTS), dict[str, bytes]()
    pages: dict[str, str] = {}
    while waiting:
        path = waiting.pop()
        response = client.get(path, base_url=app.config["SITE_URL"], buffered=True)
        if response.status_code != 200:
            raise RuntimeError(f"{path} answered {response.status}")
        if response.mimetype == "text/html":
            pages[path] = FORMS.sub("", response.text)
            links = [match["path"] for match in LINKS.finditer(pages[path]) if PAGES.match(match["path"])]
            waiting += [link for link in dict.fromkeys(links) if link not in {*found, *pages, *waiting}]
        else:
            found[path] = response.data
    files = {name_of(path): content for path, content in found.items()}
    for path, html in pages.items():
        files[name_of(path)] = _with_links(html, path, {*found, *pages}).encode()
    files["index.html"] = FRONT.format(name_of(FIRST)).encode()
    return files


def name_of(path: str) -> str:
    """Return the name of the file for a path of the site."""
    name = unquote(path).lstrip("/")
    if name.endswith("/"):
        return f"{name}index.html"
    return name if "." in posixpath.basename(name) else f"{name}.html"


def _with_links(html: str, path: str, known: set[str]) -> str:
    """Return the page with links to files. A link to a page that needs a server loses its address."""

    def file_link(match: re.Match[str]) -> str:
        if match["path"] not in known:
            return ""
        target = posixpath.relpath(name_of(match["path"]), posixpath.dirname(name_of(path)) or ".")
        return f'{match["name"]}="{target}{match["fragment"] or ""}"'

    return LINKS.sub(file_link, html)
