"""The folder `instance/` for the files that the site makes: the database, and on localhost mails and the secret key."""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile


def make_private(folder: Path) -> None:
    """Make the folder, which only the site's own user may open. Raises OSError where the site can't write to it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # If another user owns the folder, that user decides.
    with suppress(PermissionError):
        folder.chmod(0o700)
    TemporaryFile(dir=folder).close()
    # A start as root leaves files that other users can't write.
    for path in folder.glob("[!.]*"):
        if not os.access(path, os.W_OK, effective_ids=True) and path.exists():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def secret_key(file: Path) -> str:
    """Return the key kept in this file, and make it on the first start. Raises OSError where it can't be read."""
    if not file.exists():
        aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_hex(32))
        # Two processes may start at once. Only one of them can make the link, and the file behind it is complete.
        with suppress(FileExistsError):
            os.link(aside, file)
        aside.unlink()
    return file.read_text().strip()
