"""The one way in which the domain says no."""


class Refusal(Exception):
    """Something was refused. `reason` names the cause for the log and the tests, in snake_case; the visitor reads a
    sentence of the template's choosing. `detail` is for the log alone."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
