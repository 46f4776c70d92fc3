"""The folder `instance/` for the site's own files: the database, and on localhost mails and the secret key."""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile


def make_private(folder: Path) -> None:
    """Make a folder that only the site's own user can open.

    Raises OSError if the site can't write to the folder, or to a file directly in it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Only the owner can change the mode. If that is another user, keep the owner's mode.
    with suppress(PermissionError):
        folder.chmod(0o700)
    # This raises an error if the site can't write to the folder.
    TemporaryFile(dir=folder).close()
    # If the site was once started as root, it left files that its own user can't write.
    for path in folder.glob("[!.]*"):
        if not os.access(path, os.W_OK, effective_ids=True) and path.exists():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def secret_key(file: Path) -> str:
    """Return the key in this file. The first start makes it. Raises OSError if the file can't be read."""
    if not file.exists():
        aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_hex(32))
        # Two processes may start at once. Only one of them can make the link, and the linked file is complete.
        with suppress(FileExistsError):
            os.link(aside, file)
        aside.unlink()
    return file.read_text().strip()
