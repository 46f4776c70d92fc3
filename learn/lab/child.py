"""One attack in a process of its own: `python learn/lab/child.py`, with the attack and the cuts as JSON in its standard
input. Each step is one line of JSON in its standard output.

A cut takes out a defence: the source of a module is changed while it is imported, here and nowhere else. So this must
be the first file that runs, before anything imports `app`. Files stay as they are, and so does the bytecode in
`__pycache__`: it is neither read nor written for a changed module.
"""

import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent.parent

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class CutLoader(SourceFileLoader):
    """Loads a module from changed source."""

    def __init__(self, name: str, path: str, source: str):
        super().__init__(name, path)
        self.source = source

    # The only method that both skips `__pycache__` and keeps the changed code out of it.
    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed source."""
        return compile(self.source, self.path, "exec", dont_inherit=True)


class CutFinder(MetaPathFinder):
    """Finds the modules whose source is changed: `{"app.codes": source}`."""

    def __init__(self, sources: dict[str, str]):
        self.sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's usual place, with another loader."""
        if fullname not in self.sources:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec
        assert spec.origin
        spec.loader = CutLoader(fullname, spec.origin, self.sources[fullname])
        return spec


def changed_sources(cuts: list[dict[str, str]]) -> dict[str, str]:
    """Return the changed source of each module. Raises ValueError if a cut doesn't fit exactly once."""
    sources: dict[str, str] = {}
    for cut in cuts:
        name = cut["file"].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        source = sources.get(name) or (ROOT / cut["file"]).read_text()
        if source.count(cut["old"]) != 1:
            raise ValueError(f"{cut['file']} contains this {source.count(cut['old'])} times:\n{cut['old']}")
        sources[name] = source.replace(cut["old"], cut["new"])
    return sources


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise ConnectionRefusedError if the program sends to another machine, or looks up its name. For
    `sys.addaudithook`."""
    host = None
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        _, address = arguments
        host = address[0] if isinstance(address, tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    if host and host not in LOOPBACK:
        raise ConnectionRefusedError(f"the lab has no network: {host}")


def main() -> None:
    """Read the order, take out the defences, and run the attack."""
    order: dict[str, Any] = json.load(sys.stdin)
    sys.addaudithook(refuse_network)
    sys.path[0] = str(ROOT)
    assert "app" not in sys.modules
    sys.meta_path.insert(0, CutFinder(changed_sources(order["cuts"])))

    from learn.lab import stage

    stage.play(order["attack"], order["folder"], order["database"])


if __name__ == "__main__":
    main()
