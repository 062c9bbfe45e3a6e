"""Two arms of two runs: whether they can be compared, and what is to be said where they differ."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.privacy import SMALLEST_COUNT

OPTIONS = {
    "participants": "--common-participants",
    "latents": "--allow-different-latents",
    "targets": "--allow-different-targets",
    "gwas": "--allow-different-gwas",
    "phewas": "--allow-different-phewas",
}
_CONSEQUENCES = {
    "participants": "analyse those in both anew",
    "latents": "compare them as they are",
    "targets": "compare those that are alike",
    "gwas": "compare the GWAS as they are",
    "phewas": "make both PheWAS as in the first run",
}
_PLACE = ("chromosome", "position", "ref", "alt")
# Of a GWAS's settings: what follows from the arm itself, and what changes no result.
_NOT_COMPARED = ("dimensions", "backend", "dtype", "per_dimension", "regenie_tables", "top")


@dataclass(frozen=True)
class ArmOfRun:
    """An arm as a run has analysed it.

    Parameters
    ----------
    name : str
        As the comparison is to call it.
    participants : Sequence of str
        Sample ids of those analysed.
    latent_size : int
    targets : DataFrame
        Values of the phenotypes probed, a row a participant; no columns where there are no probes.
    probes : mapping
        Settings of the probes, but for the targets.
    gwas : mapping or None
        What `gwas.json` says.
    variants : DataFrame or None
        `chromosome`, `position`, `ref`, `alt`, `alt_frequency` of those tested.
    phewas : mapping or None
        Settings of the PheWAS.
    phecodes : DataFrame or None
        `phecode`, `n_cases`, `n_controls`.
    """

    name: str
    participants: Sequence[str]
    latent_size: int
    targets: pd.DataFrame
    probes: Mapping = field(default_factory=dict)
    gwas: Mapping | None = None
    variants: pd.DataFrame | None = None
    phewas: Mapping | None = None
    phecodes: pd.DataFrame | None = None


@dataclass(frozen=True)
class Difference:
    """Something in which two runs differ: one of `OPTIONS`, and a sentence without a full stop."""

    kind: str
    told: str


def check(a: ArmOfRun, b: ArmOfRun, allowed: Collection[str]) -> list[Difference]:
    """Find in what two arms differ that should be alike.

    Parameters
    ----------
    a, b : ArmOfRun
    allowed : collection of str
        Keys of `OPTIONS`: differences that the user knows of.

    Returns
    -------
    list of Difference
        All of them, to be told beside the results.

    Raises
    ------
    InputError
        There is one that is not allowed: the first, and the option that would allow it.
    """
    found = differences(a, b)
    for difference in found:
        if difference.kind not in allowed:
            raise InputError(
                f"{difference.told}; {OPTIONS[difference.kind]} would "
                f"{_CONSEQUENCES[difference.kind]}"
            )
    return found


def differences(a: ArmOfRun, b: ArmOfRun) -> list[Difference]:
    """Find in what two arms differ, the gravest first."""
    found = [("participants", _participants(a, b))]
    if a.latent_size != b.latent_size:
        sizes = f"{a.latent_size} in {a.name} and {b.latent_size} in {b.name}"
        found.append(("latents", f"the latent sizes differ: {sizes}"))
    found += [("targets", told) for told in _targets(a, b)]
    if a.gwas is not None and b.gwas is not None:
        found += [("gwas", told) for told in _gwas(a, b)]
    if a.phewas is not None and b.phewas is not None:
        found += [("phewas", told) for told in _phewas(a, b)]
    return [Difference(kind, told) for kind, told in found if told]


def common_targets(a: ArmOfRun, b: ArmOfRun) -> list[str]:
    """Name the targets that both arms have, with the same values."""
    return [t for t in a.targets if t in b.targets and not _unlike(a, b, t)]


def same_variants(a: ArmOfRun, b: ArmOfRun) -> bool:
    """Whether the GWAS of both arms tested the same variants, in the same order."""
    columns = ((one.variants[name].to_numpy() for one in (a, b)) for name in _PLACE)
    return all(np.array_equal(*both) for both in columns)


def counted(count: int) -> str:
    """Write how many participants, from 5 on."""
    return f"fewer than {SMALLEST_COUNT}" if 0 < count < SMALLEST_COUNT else f"{count:,}"


def told_participants(a: ArmOfRun, b: ArmOfRun) -> str:
    """Say how many participants are in both arms.

    Where fewer than five are in one arm only, the number is told in tens: a run's own report has
    its total, and the difference would count them out.
    """
    both = len(set(a.participants) & set(b.participants))
    return f"about {round(both, -1):,}" if differ_by_few(a, b) else f"{both:,}"


def differ_by_few(a: ArmOfRun, b: ArmOfRun) -> bool:
    """Whether fewer than five participants, but some, are in one arm only."""
    first, second = set(a.participants), set(b.participants)
    return any(0 < len(only) < SMALLEST_COUNT for only in (first - second, second - first))


def _participants(a: ArmOfRun, b: ArmOfRun) -> str:
    first, second = set(a.participants), set(b.participants)
    if first == second:
        return ""
    return (
        f"the participants analysed differ: {counted(len(first - second))} only in {a.name}, "
        f"{counted(len(second - first))} only in {b.name}, {told_participants(a, b)} in both"
    )


def _targets(a: ArmOfRun, b: ArmOfRun) -> list[str]:
    if not (len(a.targets.columns) and len(b.targets.columns)):
        return []
    told = []
    only = {
        one.name: [target for target in one.targets if target not in other.targets]
        for one, other in ((a, b), (b, a))
    }
    parts = [f"only in {name}: {', '.join(targets)}" for name, targets in only.items() if targets]
    if parts:
        told.append(f"the targets of the probes differ: {'; '.join(parts)}")
    shared = [target for target in a.targets if target in b.targets]
    unlike = [target for target in shared if _unlike(a, b, target)]
    if unlike:
        told.append(f"the same participants have other values of {', '.join(unlike)}")
    return told + _settings("probes:", a.probes, b.probes)


def _unlike(a: ArmOfRun, b: ArmOfRun, target: str) -> bool:
    """Whether any participant of both has another value of a target."""
    both = a.targets.index.intersection(b.targets.index)
    first, second = a.targets.loc[both, target], b.targets.loc[both, target]
    if all(pd.api.types.is_numeric_dtype(values) for values in (first, second)):
        return not np.allclose(
            first.to_numpy(float), second.to_numpy(float), rtol=1e-9, atol=0, equal_nan=True
        )
    texts = [
        values.astype(object).where(values.notna(), "").astype(str) for values in (first, second)
    ]
    return not texts[0].equals(texts[1])


def _gwas(a: ArmOfRun, b: ArmOfRun) -> list[str]:
    told = _settings("GWAS", a.gwas["settings"], b.gwas["settings"], _NOT_COMPARED)
    if set(a.participants) != set(b.participants):
        return told  # analysed anew, from the genotypes of one of them
    analysed = [one.gwas["participants"]["analysed"] for one in (a, b)]
    if analysed[0] != analysed[1]:
        close = abs(analysed[0] - analysed[1]) < SMALLEST_COUNT
        numbers = "by a few" if close else f"{analysed[0]:,} and {analysed[1]:,}"
        told.append(f"the participants with genotypes and covariates differ: {numbers}")
    if not same_variants(a, b):
        first, second = (pd.MultiIndex.from_frame(one.variants[list(_PLACE)]) for one in (a, b))
        only = [len(first.difference(second)), len(second.difference(first))]
        told.append(
            f"the variants tested differ: {only[0]:,} only in {a.name}, {only[1]:,} only in "
            f"{b.name}"
        )
        return told
    frequencies = [one.variants["alt_frequency"].to_numpy(float) for one in (a, b)]
    unlike = ~np.isclose(*frequencies, rtol=0, atol=1e-6, equal_nan=True)
    if unlike.any() and analysed[0] == analysed[1]:
        told.append(
            f"the genotypes differ: {int(unlike.sum()):,} of {len(unlike):,} variants have "
            "another frequency in the same participants"
        )
    return told


def _phewas(a: ArmOfRun, b: ArmOfRun) -> list[str]:
    told = _settings("PheWAS", a.phewas, b.phewas)
    if set(a.participants) != set(b.participants):
        return told
    first, second = (one.phecodes.set_index("phecode") for one in (a, b))
    only = [len(first.index.difference(second.index)), len(second.index.difference(first.index))]
    if any(only):
        told.append(
            f"the phecodes differ: {only[0]:,} only in {a.name}, {only[1]:,} only in {b.name}"
        )
    both = first.index.intersection(second.index)
    counts = ["n_cases", "n_controls"]
    unlike = (first.loc[both, counts] != second.loc[both, counts]).any(axis=1)
    if unlike.any():
        told.append(
            f"the diagnoses differ: {int(unlike.sum()):,} phecodes have other numbers of cases or "
            "controls"
        )
    return told


def _settings(
    analysis: str, first: Mapping, second: Mapping, left_out: Collection[str] = ()
) -> list[str]:
    """Say which settings of an analysis differ, and how."""
    return [
        f"{analysis} {name.replace('_', ' ')} differs: {_plain(first.get(name))} and "
        f"{_plain(second.get(name))}"
        for name in dict.fromkeys([*first, *second])
        if name not in left_out and first.get(name) != second.get(name)
    ]


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)
