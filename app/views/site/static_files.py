"""Static files, compressed at the start. Their path changes with their contents, so that browsers can keep them."""

import shutil
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from wsgiref.headers import Headers

from flask import Flask
from whitenoise import WhiteNoise
from whitenoise.compress import Compressor


def init_app(app: Flask) -> None:
    """Serve the files in `static/` as they were at the start, or while debugging as they are now."""
    source = Path(app.root_path) / "static"
    kept = Path(app.instance_path) / "static"
    version = "dev" if app.debug else prepare(source, kept)

    def add_headers(headers: Headers, path: str, url: str) -> None:
        for name, value in app.config["HEADERS"].items():
            headers[name] = value

    files = WhiteNoise(
        app.wsgi_app,
        autorefresh=app.debug,
        max_age=0,
        allow_all_origins=False,
        immutable_file_test=lambda path, url: not app.debug,
        add_headers_function=add_headers,
    )
    # Serve earlier versions too. Pages that were open during an upgrade refer to them.
    versions = [version] if app.debug else [each.name for each in kept.iterdir() if not each.name.startswith(".")]
    for each in versions:
        files.add_files(source if app.debug else kept / each, prefix=f"static/{each}")
    app.wsgi_app = files  # type: ignore[method-assign]
    # For `url_for` only, because WhiteNoise answers before Flask.
    app.add_url_rule(f"/static/{version}/<path:filename>", endpoint="static", build_only=True)


def prepare(source: Path, kept: Path) -> str:
    """Copy the files into a folder of `kept`, and compress them. Return the folder's name: a hash of their contents.

    The files keep their names, because the scripts import each other by name.
    """
    names = sorted(path.name for path in source.iterdir())
    version = sha256(b"".join(name.encode() + (source / name).read_bytes() for name in names)).hexdigest()[:12]
    if not (kept / version).exists():
        kept.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=kept, prefix=".")) / version
        shutil.copytree(source, aside)
        compressor = Compressor(quiet=True)
        for name in names:
            compressor.compress(str(aside / name))
        # Two processes may start at once. Only one of them can rename its folder, and that one is complete.
        with suppress(OSError):
            aside.rename(kept / version)
        shutil.rmtree(aside.parent)
    return version
