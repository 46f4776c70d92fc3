"""The operator's commands: `flask users`, `flask passkeys`, `flask stats`, `flask sweep` and `flask doctor`."""

from flask import Flask

from app.operator import doctor, passkeys, stats, sweep, users


def init_app(app: Flask) -> None:
    """Add the operator's commands to the `flask` command."""
    app.cli.add_command(users.users)
    app.cli.add_command(passkeys.passkeys)
    app.cli.command("stats")(stats.show)
    app.cli.command("sweep")(sweep.delete_expired)
    app.cli.command("doctor")(doctor.report)
