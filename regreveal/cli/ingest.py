"""`regreveal ingest`: raw files into a store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regreveal.cli.options import Dask
from regreveal.cli.stages import TensorMaps

if TYPE_CHECKING:
    import pandas as pd

ingest_app = typer.Typer(help="Read raw files of any known format into a store.")

Store = Annotated[Path, typer.Option(help="Folder of the store; made if it is not there.")]
Report = Annotated[
    Path | None, typer.Option(help="Table to write, one row a file: what became of it, why.")
]
VoxelSize = Annotated[
    str,
    typer.Option(
        help="In mm, as 1 or 1,1,2: resample images of another; without it they are left out."
    ),
]
BurnedInText = Annotated[
    bool,
    typer.Option(
        "--allow-burned-in-text",
        help="Take DICOM images that say that text is part of the picture; it may name the person.",
    ),
]


@ingest_app.callback()
def ingest() -> None:
    """Read raw files of any known format into a store."""


@ingest_app.command()
def ecg(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files and folders: CardioSoft XML, WFDB, DICOM waveforms, ml4h HD5.",
        ),
    ],
    store: Store,
    report: Report = None,
    dask: Dask = None,
) -> None:
    """Read ECGs into a store as 12 leads in mV at 500 Hz; one that is there already is skipped."""
    from regreveal.cluster import on_cluster
    from regreveal.ingest.ecg import ingest_ecg
    from regreveal.store.tensors import TensorStore

    _check_places(store, report)
    with on_cluster(dask):
        files = ingest_ecg(paths, TensorStore(store))
    _tell(files, report)


@ingest_app.command()
def dxa(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files and folders: DICOM, UK Biobank's zips of it, PNG, ml4h HD5."),
    ],
    store: Store,
    series: Annotated[
        str, typer.Option(help="Number of the series, such as 11; by default that of --to.")
    ] = "",
    to: Annotated[str, typer.Option(help="Tensor map; by default dxa.dxa_11 for series 11.")] = "",
    voxel_size: VoxelSize = "",
    allow_burned_in_text: BurnedInText = False,
    package: TensorMaps = "tensormaps",
    report: Report = None,
    dask: Dask = None,
) -> None:
    """Read DXA images into a store, cropped or padded about their centre."""
    from regreveal.errors import InputError

    if not series and not to:
        raise InputError("ingest dxa: give --series or --to, such as --to dxa.dxa_11")
    to = to or f"dxa.dxa_{series}"
    _ingest_images(
        "dxa",
        paths,
        store,
        to,
        package,
        report,
        dask,
        series=series,
        voxel_size=voxel_size,
        allow_burned_in_text=allow_burned_in_text,
    )


@ingest_app.command()
def brain(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files and folders: NIfTI, UK Biobank's zips of it, ml4h HD5."),
    ],
    store: Store,
    to: Annotated[str, typer.Option(help="Tensor map: brain.t1_native or brain.t1_mni.")],
    voxel_size: VoxelSize = "",
    package: TensorMaps = "tensormaps",
    report: Report = None,
    dask: Dask = None,
) -> None:
    """Read brains into a store in RAS+, as scanned or in MNI space as the tensor map says."""
    _ingest_images("brain", paths, store, to, package, report, dask, voxel_size=voxel_size)


@ingest_app.command()
def cardiac(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files and folders: DICOM, UK Biobank's zips of it, folders of PNG frames, "
            "ml4h HD5."
        ),
    ],
    store: Store,
    to: Annotated[str, typer.Option(help="Tensor map.")] = "cardiac.lax_4ch",
    series: Annotated[
        str,
        typer.Option(help="Description of the series; for cardiac.lax_4ch cine_segmented_lax_4ch."),
    ] = "",
    voxel_size: VoxelSize = "",
    resample_frames: Annotated[
        bool,
        typer.Option(
            "--resample-frames",
            help="Resample cines of another number of frames in time; else they are left out.",
        ),
    ] = False,
    allow_burned_in_text: BurnedInText = False,
    package: TensorMaps = "tensormaps",
    report: Report = None,
    dask: Dask = None,
) -> None:
    """Read cines of one heart beat into a store, cropped or padded about their centre."""
    _ingest_images(
        "cardiac",
        paths,
        store,
        to,
        package,
        report,
        dask,
        series=series,
        voxel_size=voxel_size,
        resample_frames=resample_frames,
        allow_burned_in_text=allow_burned_in_text,
    )


def _ingest_images(
    modality: str,
    paths: list[Path],
    store: Path,
    to: str,
    package: str,
    report: Path | None,
    dask: str | None,
    *,
    voxel_size: str,
    series: str = "",
    **allowed: bool,
) -> None:
    from regreveal.cluster import on_cluster
    from regreveal.errors import InputError
    from regreveal.ingest.images import ingest_images
    from regreveal.store.tensors import TensorStore
    from regreveal.tensormap import find_tensor_map

    _check_places(store, report)
    tensor_map = find_tensor_map(to, package)
    if tensor_map.modality != modality:
        raise InputError(
            f"--to {to}: is of modality '{tensor_map.modality}'; expected '{modality}'"
        )
    spatial = tensor_map.spatial_dimensions or len(tensor_map.shape) - 1
    with on_cluster(dask):
        files = ingest_images(
            paths,
            TensorStore(store),
            tensor_map,
            series or None,
            voxel_size=_lengths(voxel_size, spatial),
            **allowed,
        )
    _tell(files, report)


def _check_places(store: Path, report: Path | None) -> None:
    """Raise InputError where the store or the report cannot be written, before files are read."""
    from regreveal.store.atomic import check_file, check_folder

    check_folder(store)
    if report is not None:
        check_file(report)


def _lengths(text: str, count: int) -> list[float] | None:
    """Lengths as the command line gives them: one for all axes, or one each."""
    from regreveal.errors import InputError

    if not text:
        return None
    try:
        lengths = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--voxel-size {text}: expected millimetres, such as 1 or 1,1,2") from None
    return lengths * count if len(lengths) == 1 else lengths


def _tell(files: "pd.DataFrame", report: Path | None) -> None:
    """Print what became of the files, by reason, and write the table of them."""
    from regreveal.errors import printable
    from regreveal.ingest.outcomes import summarise
    from regreveal.store.cohort import write_table

    for row in summarise(files).itertuples():
        typer.echo(printable(f"{row.outcome:<8} {row.count:>7}  {row.reason}".rstrip()))
    if report is not None:
        write_table(files, report)
