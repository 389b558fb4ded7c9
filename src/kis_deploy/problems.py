"""What an operator is told when something is wrong: what, why, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the variable, file, host or step; the cause; the remedy.

    No text holds a value of the environment.
    """

    what: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        """One line for the terminal and the log; a cause of many lines is told apart."""
        apart = ".\n   → " if "\n" in self.cause else ". "
        return f"{self.what}: {self.cause}{apart}{self.remedy}"

    def as_json(self) -> dict[str, str]:
        """Return it for a JSON report."""
        return asdict(self)


class DeployError(Exception):
    """A step cannot go on: one or more problems, all that are known."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems

    @classmethod
    def of(cls, what: str, cause: str, remedy: str) -> Self:
        """Return the error of one problem."""
        return cls(Problem(what, cause, remedy))


class CancelledError(DeployError):
    """Whoever was asked did not say yes."""


class TakenError(DeployError):
    """Another deployment is under way."""
