"""What a look at one thing gives, and how several are told."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class WrongResultError(Exception):
    """A self-test did not find what it should have; the message is one line."""


class Status(StrEnum):
    """How a thing is: a warning costs time or an option, what is broken costs results."""

    ok = "ok"
    warning = "warning"
    broken = "broken"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    group : str
        Heading it stands under, such as "software".
    name : str
        What was looked at.
    found : str
        What was found, for people.
    status : Status
    advice : str
        What to do about it; empty where all is well.
    """

    group: str
    name: str
    found: str
    status: Status = Status.ok
    advice: str = ""


def worst(checks: Iterable[Check]) -> Status:
    """Give the worst status of some checks; "ok" of none."""
    order = list(Status)
    return max((check.status for check in checks), key=order.index, default=Status.ok)


def as_json(checks: list[Check]) -> str:
    """Write checks as JSON: the worst status, and all checks in order."""
    content = {"status": worst(checks), "checks": [asdict(check) for check in checks]}
    return json.dumps(content, indent=2)


def print_table(checks: list[Check], console: "Console") -> None:
    """Show checks by group, and beneath them what to do about each that is off."""
    from rich.markup import escape
    from rich.table import Table

    styles = {Status.ok: "green", Status.warning: "yellow", Status.broken: "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")  # the end of a path tells more than "..."
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            table.add_row("", f"[bold]{escape(group)}[/bold]")
        style = styles[check.status]
        table.add_row(f"[{style}]{check.status}[/{style}]", escape(check.name), escape(check.found))
    console.print(table)
    off = [check for check in checks if check.status != Status.ok]
    for check in off:
        style = styles[check.status]
        console.print(
            f"\n[{style}]{check.status}[/{style}] {escape(check.name)}: {escape(check.found)}\n"
            f"  {escape(check.advice)}",
            highlight=False,
        )
    broken = sum(check.status == Status.broken for check in off)
    console.print(
        f"\n{len(checks)} looked at: {broken} broken, {len(off) - broken} warnings", highlight=False
    )
