"""`make bench` measures the site: CPU time against the tutorial's program, page weight, start-up time and memory.

CPU time is counted by the operating system for the server's processes, without the visitor's work. Each round measures
both servers in turns, because a machine that is slower for a while is slower for both. The figure is the median of the
rounds' ratios.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from math import inf
from pathlib import Path
from statistics import median
from typing import NamedTuple

from authenticator import Authenticator
from bench import server, visitor
from bench.server import Server
from tests.smtp import Mailbox, free_port

# Short rounds, so that other programs disturb both servers of a pair alike.
ROUNDS = 21
FLOWS = 50
SIGN_INS = 150
STARTS = 5

Flow = Callable[[Server, Authenticator], None]


class Figure(NamedTuple):
    """A line of the table: a measured value, its target (the largest allowed value), and details."""

    name: str
    value: float
    target: float
    unit: str = ""
    detail: str = ""

    def __str__(self) -> str:
        verdict = "" if self.target == inf else "ok" if self.value <= self.target else "OVER"
        target = "none" if self.target == inf else f"{self.target:.6g}"
        return f"{self.name:42}{self.value:8.6g} {self.unit:6}{target:>8} {self.unit:6}{verdict:6}{self.detail}"


def main() -> None:
    """Measure everything and print the table."""
    if (load := os.getloadavg()[0]) > (os.cpu_count() or 1) / 4:
        print(f"This machine is busy (load {load:.1f}): other programs that use its caches make every ratio worse.")
    print("Measuring takes two or three minutes ...", flush=True)
    # aiosmtpd warns at each login about an attribute of its own.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        # Both servers send their mail to SMTP servers in this process.
        program = server.public_program(Path(folder, "program"), free_port(), Mailbox())
        site = server.public_site(Path(folder, "site"), free_port(), Mailbox())
        figures = [*sizes(server.site(Path(folder, "local"), free_port())), *ratios(program, site)]
    print(f"{'':42}{'site':>8}{'target':>15}")
    print(*figures, sep="\n")


def sizes(site: Server) -> list[Figure]:
    """Measure the site by itself: the sign-in page, start-up and memory."""
    # The first start makes the database.
    with site.running():
        weight, loaded = visitor.weigh(site, "/sign-in")
    starts = []
    for _ in range(STARTS):
        with site.running() as seconds:
            starts.append(seconds)
    with site.running():
        fresh = site.mebibytes()
        device = visitor.register(site)
        for _ in range(SIGN_INS):
            visitor.passkey_sign_in(site, device)
        used = site.mebibytes()
    return [
        Figure("sign-in page, on the wire", weight, 14 * 1024, "bytes", " ".join(loaded)),
        Figure("sign-in page, requests", len(loaded), 4),
        Figure("start to first page", round(median(starts), 2), 0.8, "s", f"median of {STARTS}, to {max(starts):.2f}"),
        Figure("memory after the first page", round(fresh.all), 90, "MiB", f"worker alone {fresh.worker:.0f}"),
        Figure(
            f"memory after {SIGN_INS} passkey sign-ins", round(used.all), 90, "MiB", f"worker alone {used.worker:.0f}"
        ),
    ]


def ratios(program: Server, site: Server) -> list[Figure]:
    """Measure the flows on both servers. The program has no notices, so it always signs in without one."""
    by_passkey, by_mail, with_notice = visitor.passkey_sign_in, visitor.mailed_sign_in, visitor.notified_sign_in
    with program.running(), site.running():
        devices = {each: visitor.register(each) for each in (program, site)}
        return [
            compare("CPU of a passkey sign-in, site / program", by_passkey, by_passkey, devices, 1.15),
            compare("CPU of a mailed sign-in, site / program", by_mail, by_mail, devices, 1.4),
            compare("CPU of a passkey sign-in with a notice", by_passkey, with_notice, devices, inf),
        ]


def compare(name: str, base_flow: Flow, flow: Flow, devices: dict[Server, Authenticator], target: float) -> Figure:
    """Return the CPU time of a flow on the second server, divided by that of `base_flow` on the first."""
    costs: dict[Server, list[float]] = {each: [] for each in devices}
    flows = dict(zip(devices, (base_flow, flow), strict=True))
    for number in range(ROUNDS + 1):
        for each, device in devices.items():
            before = each.cpu_seconds()
            for _ in range(FLOWS):
                flows[each](each, device)
                each.end_sessions()
            # The first round doesn't count: it imports late modules and fills caches.
            if number:
                costs[each].append((each.cpu_seconds() - before) / FLOWS * 1000)
    base, own = costs.values()
    rounds = sorted(ours / theirs for ours, theirs in zip(own, base, strict=True))
    detail = (
        f"{median(own):.2f} / {median(base):.2f} ms, rounds from {rounds[0]:.2f} to {rounds[-1]:.2f}; "
        f"the least disturbed {min(own):.2f} / {min(base):.2f} = {min(own) / min(base):.2f}"
    )
    return Figure(name, round(median(rounds), 2), target, "", detail)


if __name__ == "__main__":
    main()
