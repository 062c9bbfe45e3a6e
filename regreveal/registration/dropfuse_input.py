"""What DropFuse is given: a mapping from modality to tensors, of whom some may be missing."""

from collections.abc import Mapping

import numpy as np

from regreveal.errors import InputError
from regreveal.progress import track

BLOCK = 64  # participants looked at together; nothing depends on it but memory


def participant_count(x: Mapping) -> int:
    """Give the number of participants, the same in all modalities."""
    counts = {name: len(values) for name, values in x.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(
            f"dropfuse: numbers of rows are {found}; expected the same participants in all"
        )
    return next(iter(counts.values()))


def block(values, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Tensors of some rows, and who of them has one."""
    tensors = np.asarray(values[rows], np.float32)
    if hasattr(values, "present"):
        return tensors, np.asarray(values.present[rows], bool)
    return tensors, ~np.isnan(tensors).all(axis=tuple(range(1, tensors.ndim)))


def check_alike(x: Mapping, validation: Mapping) -> None:
    """Check that those to choose the best epoch by have the modalities learned from."""
    found, expected = (
        {name: tuple(values.shape[1:]) for name, values in given.items()}
        for given in (validation, x)
    )
    if found != expected or list(found) != list(expected):
        raise InputError(
            f"dropfuse: validation has the modalities {found}; expected those learned from, "
            f"{expected}, in this order"
        )
    if participant_count(validation) < 1:
        raise InputError("dropfuse: no validation participants; expected at least one, or None")


def check_fusible(learned) -> None:
    """Check that every modality has participants to learn from, and that some have two."""
    for name, count in zip(learned.x, learned.present.sum(axis=0), strict=True):
        if count < 2:
            raise InputError(
                f"dropfuse: {count} of {len(learned)} participants to learn from have {name}; "
                "expected at least 2"
            )
    if (learned.present.sum(axis=1) > 1).sum() < 2:
        raise InputError(
            f"dropfuse: fewer than 2 of {len(learned)} participants to learn from have two of "
            f"{', '.join(learned.x)}; rows must be the same participants in all"
        )


def presence(x: Mapping) -> np.ndarray:
    """Who has which modality, bool (n, modalities); everyone must have one.

    Raises
    ------
    InputError
        Naming the row, if one has none.
    """
    columns = []
    for name, values in x.items():
        if hasattr(values, "present"):
            columns.append(np.asarray(values.present, bool))
            continue
        starts = track(range(0, len(values), BLOCK), f"Looking for {name}")
        parts = [block(values, slice(first, min(first + BLOCK, len(values)))) for first in starts]
        columns.append(np.concatenate([present for _, present in parts]))
    present = np.column_stack(columns)
    nobody = ~present.any(axis=1)
    if nobody.any():
        raise InputError(
            f"dropfuse: row {np.argmax(nobody)} has none of {', '.join(x)} ({nobody.sum()} of "
            f"{len(nobody)} rows have none); leave them out"
        )
    return present
