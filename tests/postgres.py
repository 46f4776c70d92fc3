"""`python -m tests.postgres COMMAND ...`: run a command with TEST_POSTGRES naming a private PostgreSQL server.

The server runs the system's PostgreSQL in a temporary folder with its socket, and the folder is removed afterwards. It
runs as the user who calls this. PostgreSQL refuses to run as root: then it is the user postgres or nobody.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Nothing here has to survive a power cut.
OPTIONS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "listen_addresses="]


def binaries() -> Path:
    """Return the folder of the newest PostgreSQL on this machine, 15 at least."""
    found = [path.parent for path in Path("/").glob("usr/lib/postgresql/*/bin/initdb")]
    for name in ("initdb", "pg_ctl"):
        path = shutil.which(name)
        if path:
            found.append(Path(path).resolve().parent)
    for folder in sorted(found, key=version, reverse=True):
        if version(folder) >= 15:
            return folder
    sys.exit("These tests need PostgreSQL 15 or newer (Debian: apt install postgresql).")


def version(folder: Path) -> int:
    """Return the major version of the server in this folder."""
    text = subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    return int(re.search(r"(\d+)", text)[1])  # type: ignore[index]


def user() -> str | None:
    """Return the user to become if this runs as root, else None."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def main(command: list[str]) -> int:
    """Start the server, run the command, stop the server; return the command's exit code."""
    folder, whom = binaries(), user()
    with tempfile.TemporaryDirectory(prefix="pg") as temporary:
        home = Path(temporary)
        if whom:
            shutil.chown(home, whom)

        def run(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [folder / program, *arguments], user=whom, cwd=home, capture_output=program == "initdb", text=True
            )
            if done.returncode:
                sys.exit(f"{program} failed: {done.stderr}\n{log.read_text() if log.exists() else ''}")

        data, log = home / "data", home / "log"
        run(
            "initdb",
            "--pgdata",
            str(data),
            "--username",
            "postgres",
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--no-sync",
        )
        settings = " ".join(f"-c {option}" for option in [*OPTIONS, f"unix_socket_directories={home}"])
        run("pg_ctl", "--pgdata", str(data), "--log", str(log), "--options", settings, "--wait", "--silent", "start")
        try:
            uri = f"postgresql://postgres@/postgres?host={home}"
            return subprocess.run(command, env=os.environ | {"TEST_POSTGRES": uri}).returncode
        finally:
            run("pg_ctl", "--pgdata", str(data), "--mode", "immediate", "--silent", "stop")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
