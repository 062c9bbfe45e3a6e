"""The files of a GWAS, from the first block to the finished folder."""

import csv
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.cluster import cluster_address, cluster_map
from regreveal.genetics.output.bgzf import BGZF_END
from regreveal.genetics.output.tabix import index_table
from regreveal.genetics.output.unfinished import UnfinishedFiles
from regreveal.genetics.scan import Scanner, Stretch, scan, units
from regreveal.progress import track
from regreveal.store.atomic import locked, write_json

LOCK = ".lock"
LOCI = "loci.tsv"
SUMMARY = "gwas.json"


class ResultFiles(UnfinishedFiles):
    """Files of a scan that is done, on their way to the folder of results."""

    def __init__(self, folder: str | os.PathLike, decided_by: str, headers: dict[str, bytes]):
        super().__init__(folder, decided_by, headers)
        self._whole: list[str] = []

    def close_table(self, name: str, indexed: bool = True) -> None:
        """End a table of BGZF blocks, and index it."""
        path = self.path(name)
        with path.open("ab") as stream:
            stream.write(BGZF_END)
        self._whole.append(name)
        if indexed:
            index = index_table(path, path.with_name(path.name + ".tbi"))
            self._whole.append(str(Path(name).with_name(index.name)))

    def add(self, name: str, content: bytes) -> None:
        """Add a small file."""
        self.path(name).write_bytes(content)
        self._whole.append(name)

    def add_table(self, name: str, table: pd.DataFrame) -> None:
        """Add a small table."""
        text = table.to_csv(sep="\t", index=False, na_rep="NA", float_format="%.10g")
        self.add(name, text.encode())

    def publish(self, loci: pd.DataFrame, summary: dict) -> dict:
        """Move everything to where it belongs; gwas.json comes last and says that all is there.

        Returns
        -------
        dict
            The summary as it is written, with the files.
        """
        self.add_table(LOCI, loci)
        target = self.folder / SUMMARY
        before = _files_of_earlier(target)
        target.unlink(missing_ok=True)
        for path in before - {self.folder / name for name in self._whole}:
            path.unlink(missing_ok=True)
        self.move(self._whole)
        summary = summary | {"files": self._whole}
        write_json(summary, target)
        return summary


def _files_of_earlier(summary: Path) -> set[Path]:
    """Give what an earlier GWAS left in a folder, by its summary.

    Nothing where that is damaged, and nothing outside of the folder: it may come from elsewhere.
    """
    folder = summary.parent.resolve()
    try:
        paths = {summary.parent / name for name in json.loads(summary.read_text())["files"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return set()
    return {path for path in paths if path.resolve().is_relative_to(folder)}


@contextmanager
def scanned(
    folder: str | os.PathLike,
    scanner: Scanner,
    stretches: Sequence[Stretch],
    unit_size: int,
    decided_by: str,
) -> Iterator[ResultFiles]:
    """Scan all variants into a folder, from where an earlier run of the same was killed.

    Parameters
    ----------
    folder : path-like
    scanner : Scanner
    stretches : sequence of Stretch
        Of `genome_stretches`.
    unit_size : int
        Variants a unit of work.
    decided_by : str
        See `fingerprint`.

    Yields
    ------
    ResultFiles
        With all blocks in it. Nobody else may write into the folder until the context ends.

    Raises
    ------
    InputError
        Another process is writing there.
    """
    folder = Path(folder)
    total = sum(-(-len(stretch.rows) // unit_size) for stretch in stretches)
    with locked(folder / LOCK, wait=False):
        files = ResultFiles(folder, f"{decided_by} {unit_size}", scanner.headers())
        to_do = islice(units(stretches, unit_size), files.units_done, None)
        cluster = cluster_address()
        results = cluster_map(scanner, to_do, cluster) if cluster else scan(scanner, to_do)
        description = "Testing variants, in blocks"
        if files.units_done:
            description += f" (the first {files.units_done} are done)"
        for result in track(results, description, total - files.units_done):
            files.add_unit(result.parts, result.counts)
        yield files


def fingerprint(settings: dict, inputs: Iterable[object], paths: Sequence[os.PathLike]) -> str:
    """Hash of everything that decides the results, so that only the same run is gone on with.

    Parameters
    ----------
    settings : dict
        Of what JSON can hold.
    inputs : iterable
        Arrays, tables, lists of text, None, or what describes itself by `repr`.
    paths : sequence of path-like
        Files that are read, known by their sizes and times.
    """
    version = importlib.metadata.version("regreveal")
    known = hashlib.sha256(json.dumps([version, settings], sort_keys=True).encode())
    for value in inputs:
        if isinstance(value, pd.DataFrame):
            known.update(",".join(map(str, value.columns)).encode())
            value = value.to_numpy()
        if isinstance(value, np.ndarray):
            known.update(f"{value.dtype}{value.shape}".encode())
            known.update(np.ascontiguousarray(value).data)
        else:
            known.update(repr(value).encode())
    for path in map(Path, paths):
        seen = path.stat()
        known.update(f"{path.name} {seen.st_size} {seen.st_mtime_ns}".encode())
    return known.hexdigest()


def read_hits(path: str | os.PathLike) -> pd.DataFrame:
    """Read the significant variants of a scan, indexed by their rows of the genotype file."""
    text = {"chromosome": str, "variant_id": str, "ref": str, "alt": str}
    return pd.read_csv(
        path,
        sep="\t",
        dtype=text,
        keep_default_na=False,
        index_col="row",
        quoting=csv.QUOTE_NONE,
    )
