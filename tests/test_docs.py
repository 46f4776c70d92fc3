"""The README, held to what is there."""

import re

from app.config import DEFAULTS
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_settings_table_has_every_setting_and_no_other():
    documented = re.findall(r"^\| *`(FLASK_\w+)`", README, re.MULTILINE)
    assert sorted(documented) == sorted(f"FLASK_{name}" for name in DEFAULTS)


def test_every_file_that_is_named_exists():
    """A name in backticks is a file's if it has a slash within, or one of our endings."""
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|txt|css|js|html))`", prose)
    missing = [name for name in named if not (ROOT / name).exists() and not name.startswith("instance/")]
    assert not missing
    assert named
