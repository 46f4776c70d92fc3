"""Static files: compressed ahead of time, and under an address that changes with them, so that browsers keep them."""

import shutil
import tempfile
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request
from flask.typing import ResponseReturnValue
from whitenoise import WhiteNoise
from whitenoise.compress import Compressor


def init_app(app: Flask) -> None:
    """Serve what is in `static/`; while debugging as it is at the moment, otherwise as it was at the start."""
    source = Path(app.root_path) / "static"
    kept = Path(app.instance_path) / "static"
    version = "dev" if app.debug else prepare(source, kept)
    files = WhiteNoise(
        None,
        autorefresh=app.debug,
        max_age=0,
        allow_all_origins=False,
        immutable_file_test=lambda path, url: not app.debug,
    )
    # What an earlier version of the site prepared is served, too: pages that are still open refer to it.
    for folder in [source] if app.debug else [each for each in kept.iterdir() if not each.name.startswith(".")]:
        files.add_files(folder, prefix=f"static/{version if app.debug else folder.name}")

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values["filename"] = f"{version}/{values['filename']}"

    @app.get("/static/<path:filename>", endpoint="static")
    def serve(filename: str) -> ResponseReturnValue:
        file = files.find_file(request.path) if app.debug else files.files.get(request.path)
        if not file:
            abort(404)
        found = file.get_response(request.method, request.environ)
        content = b""
        if found.file:
            with closing(found.file):
                content = found.file.read()
        # In a list, or its length, which is nothing for HEAD, would take the place of the file's.
        return Response([content], found.status, list(found.headers))


def prepare(source: Path, kept: Path) -> str:
    """Put a copy of the files, each also compressed, into a folder of `kept` that is named for what is in them; return
    its name. The scripts find each other by name, so the folder's changes, not theirs."""
    names = sorted(path.name for path in source.iterdir())
    version = sha256(b"".join(name.encode() + (source / name).read_bytes() for name in names)).hexdigest()[:12]
    if not (kept / version).exists():
        kept.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=kept, prefix=".")) / version
        shutil.copytree(source, aside)
        compressor = Compressor(quiet=True)
        for name in names:
            compressor.compress(str(aside / name))
        # Two processes may start at once: a folder is put in its place whole, and by one of them only.
        with suppress(OSError):
            aside.rename(kept / version)
        shutil.rmtree(aside.parent)
    return version
