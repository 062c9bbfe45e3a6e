"""Whole-genome regression: REGENIE's leave-one-chromosome-out predictions of every dimension.

What the rest of the genome predicts of a latent dimension is subtracted before the variants of a
chromosome are tested. That takes out what relatives share, and lowers the noise.
"""

import gzip
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.chromosomes import (
    HUMAN_AUTOSOMES,
    canonical_chromosome,
    chromosome_of_positions,
)
from regreveal.genetics.kernel.whitening import covariate_basis, residuals

HEADER = "FID_IID"


@dataclass(frozen=True)
class _LocoFile:
    """One dimension's .loco file: where the line of each chromosome starts, and how long it is."""

    path: Path
    header_bytes: int
    lines: dict[str, tuple[int, int]]

    def header(self) -> bytes:
        return self._read(0, self.header_bytes)

    def line(self, chromosome: str) -> bytes:
        """Read the line of a chromosome, given as in `lines`."""
        return self._read(*self.lines[chromosome])

    def _read(self, start: int, length: int) -> bytes:
        with _open(self.path) as file:
            file.seek(start)
            return file.read(length)


class LocoPredictions:
    """REGENIE's step 1 predictions of latent dimensions, read one chromosome at a time.

    Made by `read_loco_list`.

    Attributes
    ----------
    path : Path
        The list.
    autosomes : int
        Pairs of autosomes of the species.
    """

    def __init__(self, path: Path, files: dict[str, _LocoFile], autosomes: int):
        self.path = path
        self.autosomes = autosomes
        self._files = files
        # Files of one run hold the same people: what was made of a header is kept for the next.
        self._matched: tuple[bytes, tuple[str, ...], np.ndarray] | None = None

    @property
    def names(self) -> list[str]:
        """Phenotypes that have predictions, in the order of the list."""
        return list(self._files)

    @property
    def paths(self) -> list[Path]:
        """The files that are read."""
        return [self.path, *(file.path for file in self._files.values())]

    def check(self, chromosomes: Iterable[str], names: Sequence[str]) -> None:
        """Raise InputError unless every dimension has predictions for every chromosome.

        Parameters
        ----------
        chromosomes : iterable of str
            As in the genotypes; X, XY, PAR1, PAR2 and 23 are the same.
        names : sequence of str
            Latent dimensions.
        """
        absent = [name for name in names if name not in self._files]
        if absent:
            raise InputError(
                f"{self.path.name}: no predictions of '{absent[0]}' ({len(absent)} of {len(names)} "
                "dimensions have none); run REGENIE step 1 on all of them"
            )
        for chromosome in dict.fromkeys(chromosomes):
            for name in names:
                self._line_of(name, chromosome)

    def predictions(
        self, chromosome: str, sample_ids: Sequence[str], names: Sequence[str]
    ) -> np.ndarray:
        """Read what all other chromosomes predict, of every dimension.

        Parameters
        ----------
        chromosome : str
            As in the genotypes.
        sample_ids : sequence of str, length n
            Individual ids.
        names : sequence of str, length k
            Latent dimensions.

        Returns
        -------
        ndarray of float64, shape (n, k)
            In units of the standard deviation of each dimension's residuals, see `subtract`.

        Raises
        ------
        InputError
            A dimension, the chromosome or a participant has no prediction, an id fits several
            participants, or a line holds too few predictions or something else than numbers.
        """
        self.check([chromosome], names)
        values = np.empty((len(sample_ids), len(names)))
        for column, name in enumerate(names):
            file, key = self._files[name], self._line_of(name, chromosome)
            header = file.header()
            places = self._places(file.path, header, sample_ids)
            values[:, column] = _numbers(file, key, header)[places]
        finite = np.isfinite(values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise InputError(
                f"{self._files[names[column]].path.name}: no prediction for participant "
                f"'{sample_ids[row]}' on chromosome {chromosome} "
                f"({(~finite).any(axis=1).sum()} such); leave them out"
            )
        return values

    def _line_of(self, name: str, chromosome: str) -> str:
        file, key = self._files[name], _chromosome_key(chromosome, self.autosomes)
        if key not in file.lines:
            raise InputError(
                f"{file.path.name}: no predictions for chromosome {chromosome} (there are: "
                f"{', '.join(file.lines)}); leave the chromosome out"
            )
        return key

    def _places(self, path: Path, header: bytes, sample_ids: Sequence[str]) -> np.ndarray:
        """Column of each participant among those of the header's ids."""
        wanted = tuple(sample_ids)
        if self._matched is None or self._matched[:2] != (header, wanted):
            places = _match(path.name, header.decode(errors="replace").split()[1:], wanted)
            self._matched = header, wanted, places
        return self._matched[2]


def read_loco_list(path: str | os.PathLike, autosomes: int = HUMAN_AUTOSOMES) -> LocoPredictions:
    """Open the predictions that REGENIE step 1 wrote.

    Parameters
    ----------
    path : path-like
        The `*_pred.list`: in each line a phenotype and its .loco or .loco.gz file. A relative path
        is one from the working directory, as for REGENIE, or else from the list's folder.
    autosomes : int
        Pairs of autosomes of the species, REGENIE's `--nauto`.

    Returns
    -------
    LocoPredictions

    Raises
    ------
    InputError
        A file is missing or no .loco file, or a phenotype, file or chromosome stands there twice.

    References
    ----------
    Mbatchou et al. (2021), Nat. Genet. 53:1097. Format: https://rgcgithub.github.io/regenie/options,
    "Predictions file format".
    """
    path = Path(path)
    files = {name: _index(file, autosomes) for name, file in _read_list(path).items()}
    return LocoPredictions(path, files, autosomes)


def subtract(
    latents: np.ndarray | pd.DataFrame,
    covariates: np.ndarray | pd.DataFrame | None,
    predictions: np.ndarray,
) -> np.ndarray:
    """Take LOCO predictions off the latents, on the scale that REGENIE made them on.

    REGENIE regresses covariates out of a phenotype, divides by the residuals' standard deviation,
    √(rᵀr / (n − c)) with c counting the intercept, and predicts that; its step 2 subtracts the
    prediction there and multiplies effects by the standard deviation again (functions
    `residualize_phenotypes` and `compute_res` of its source). So a dimension becomes
    r − sd · prediction, in its own units. Covariates have to be regressed out of that again, which
    `LatentSpace` does: it is the same as REGENIE's regressing them out of the genotypes.

    Parameters
    ----------
    latents : ndarray or DataFrame, shape (n, k)
        Those that step 1 was run on, see `regreveal.genetics.regenie`.
    covariates : ndarray or DataFrame, shape (n, c - 1), or None
        The same as in step 1.
    predictions : ndarray, shape (n, k)
        Of one chromosome.

    Returns
    -------
    ndarray of float64, shape (n, k)

    Raises
    ------
    InputError
        Predictions of another shape, or latents or covariates that `LatentSpace` would refuse.
    """
    basis = covariate_basis(covariates, len(latents))
    rest, _ = residuals(latents, basis, "latent")
    if predictions.shape != rest.shape:
        raise InputError(
            f"predictions: shape {predictions.shape}, but the latents have {rest.shape}"
        )
    degrees = len(rest) - basis.shape[1] - 1
    return rest - np.linalg.norm(rest, axis=0) / np.sqrt(degrees) * predictions


def _read_list(path: Path) -> dict[str, Path]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the *_pred.list of REGENIE step 1")
    files = {}
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path.name}: not a text file") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        fields = line.split()
        if len(fields) != 2:
            raise InputError(
                f"{path.name}: line {number} has {len(fields)} fields; expected a phenotype and "
                "the path of its .loco file"
            )
        name, file = fields[0], Path(fields[1])
        if name in files:
            raise InputError(f"{path.name}: phenotype '{name}' stands there more than once")
        if not file.is_file():
            file = path.parent / file
        if not file.is_file():
            raise InputError(f"{path.name}: '{fields[1]}' (of phenotype '{name}'): no such file")
        if file in files.values():
            raise InputError(f"{path.name}: '{fields[1]}' is the file of more than one phenotype")
        files[name] = file
    if not files:
        raise InputError(f"{path.name}: no predictions listed in it")
    return files


def _open(path: Path):
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _index(path: Path, autosomes: int) -> _LocoFile:
    """Find where lines start, keeping one at a time in memory."""
    labels, stops = [], []
    try:
        with _open(path) as file:
            for line in file:
                labels.append(line[:64].split(maxsplit=1))
                stops.append((stops[-1] if stops else 0) + len(line))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path.name}: cannot be read to its end: {error}") from None
    names = [label[0].decode("utf-8", "replace") if label else "" for label in labels]
    if not names or names[0] != HEADER:
        raise InputError(
            f"{path.name}: starts with '{names[0] if names else ''}'; expected {HEADER}, as in a "
            ".loco file of REGENIE step 1"
        )
    if not line.endswith(b"\n"):
        raise InputError(f"{path.name}: line {len(names)} does not end; the file is cut short")
    lines = {}
    for name, start, stop in zip(names[1:], stops[:-1], stops[1:], strict=True):
        key = _chromosome_key(name, autosomes)
        if key in lines:
            raise InputError(f"{path.name}: chromosome '{name}' stands there more than once")
        lines[key] = start, stop - start
    return _LocoFile(path, stops[0], lines)


def _chromosome_key(name: str, autosomes: int) -> str:
    # REGENIE has one prediction for all of X, chromosome 23 of people.
    canonical = canonical_chromosome(name, autosomes)
    return chromosome_of_positions(canonical, autosomes)


def _numbers(file: _LocoFile, key: str, header: bytes) -> np.ndarray:
    """Predictions of a chromosome in the order of the header's ids, NaN where NA."""
    fields = file.line(key).split()[1:]
    expected = len(header.split()) - 1
    if len(fields) != expected:
        raise InputError(
            f"{file.path.name}: chromosome {key} has {len(fields)} predictions for {expected} "
            "participants; the file is damaged"
        )
    try:
        return np.array([np.nan if field == b"NA" else float(field) for field in fields])
    except ValueError:
        raise InputError(
            f"{file.path.name}: chromosome {key} has predictions that are not numbers"
        ) from None


def _match(file: str, header_ids: list[str], sample_ids: tuple[str, ...]) -> np.ndarray:
    """Find each participant's column by FID_IID, where either id may hold underscores itself.

    An id whose halves are the same, FID = IID, belongs to that participant. Any other belongs to
    the one participant whose id it ends in after an underscore.
    """
    known = {name: row for row, name in enumerate(sample_ids)}
    if len(known) < len(sample_ids):
        raise InputError("predictions: sample ids repeat; expected each participant once")
    places = np.full(len(sample_ids), -1)
    for column, joined in enumerate(header_ids):
        half = len(joined) // 2
        if joined[:half] == joined[half + 1 :] and joined[half : half + 1] == "_":
            fits = [joined[:half]] if joined[:half] in known else []
        else:
            parts = joined.split("_")
            ends = ("_".join(parts[start:]) for start in range(1, len(parts)))
            fits = [end for end in ends if end in known]
        if len(fits) > 1:
            raise InputError(
                f"{file}: '{joined}' (family id _ individual id) could be participant "
                f"'{fits[0]}' or '{fits[1]}'; rename one of them"
            )
        if fits:
            row = known[fits[0]]
            if places[row] >= 0:
                raise InputError(
                    f"{file}: '{header_ids[places[row]]}' and '{joined}' could both be participant "
                    f"'{fits[0]}'; expected each once"
                )
            places[row] = column
    if (places < 0).any():
        raise InputError(
            f"{file}: {(places < 0).sum()} of {len(sample_ids)} participants are not in it, the "
            f"first of them '{sample_ids[int(np.argmin(places))]}'; leave them out or run REGENIE "
            "step 1 with them"
        )
    return places
