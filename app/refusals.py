"""The one exception for everything that the domain refuses."""


class Refusal(Exception):
    """Something was refused. `reason` names the cause in snake_case, for the log and the tests.

    The template chooses the visitor's sentence for it. Only the log shows `detail`.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
