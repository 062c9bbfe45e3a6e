"""What an arm is, and what it took, out of a run's files."""

import json
import math
from collections.abc import Mapping
from pathlib import Path


def read_arm(folder: Path) -> dict:
    """Read what an arm is: `arm.json`, with `model.json` as `model` and the embedding's size."""
    described = json.loads((folder / "arm.json").read_text())
    model = json.loads((folder / "model" / "model.json").read_text())
    return described | {"model": model, "embedding_bytes": _bytes_a_participant(folder)}


def _bytes_a_participant(folder: Path) -> float:
    import pyarrow.parquet as pq

    file = folder / "embedding.parquet"
    rows = pq.read_metadata(file).num_rows if file.exists() else 0
    return file.stat().st_size / rows if rows else math.nan


def describe_arm(described: Mapping[str, Mapping], arm: str) -> dict:
    """Give the columns that say what an arm is.

    Parameters
    ----------
    described : mapping of str to mapping
        Every arm of the run, as `read_arm` gives it.
    arm : str
    """
    its = described[arm]
    model, values = its["model"], math.prod(its["shape"])
    tensor_bytes = its.get("tensor_bytes", math.nan)
    by_cycle = its["registration"] is not None and its["registration"] == its["latents_by"]
    return {
        "modality": its["tensor_map"].split(".")[0],
        "tensor_map": its["tensor_map"],
        "registration": made_by(described, arm),
        "shape": " × ".join(map(str, its["shape"])),
        "tensor_values": values,
        "latent_size": model["latent_size"],
        "reduction": values / model["latent_size"],
        "tensor_bytes": tensor_bytes,
        "embedding_bytes": its["embedding_bytes"],
        "reduction_bytes": tensor_bytes / its["embedding_bytes"],
        # What a decoder draws of phases is the typical heart, and none of one participant's.
        "explained_variance": math.nan if by_cycle else model["explained_variance"],
        "weights": model["weights"],
        "steps": model["steps"],
        "batch_size": model["batch_size"],
    }


def made_by(described: Mapping[str, Mapping], arm: str) -> str:
    """Say by which registrations an arm's tensors or latents were made, the first first."""
    steps, name = [], arm
    if described[arm]["fusion"]:
        steps.append(f"DropFuse ({described[arm]['fusion']})")
    while name is not None:
        its = described[name]
        steps += [its["registration"]] if its["registration"] else []
        name = its["after"]
    return ", then ".join(reversed(steps)) or "none"


def arm_costs(
    stages: Mapping[str, Mapping],
    described: Mapping[str, Mapping],
    arm: str,
    comparison: str | None,
) -> tuple[dict, dict]:
    """Give what an arm and its analyses in one comparison took.

    Parameters
    ----------
    stages : mapping of str to mapping
        `stages` of the manifest. Seconds are those of the last time a stage ran to its end.
    described : mapping of str to mapping
        Every arm of the run, as `read_arm` gives it.
    arm : str
    comparison : str or None
        None where the arm is in none.

    Returns
    -------
    dict
        The columns `seconds_…` and `peak_memory_mib`; NaN where there was no such stage.
    dict
        Why some can not be told, by what they are of.
    """
    of = {name: _stages_of(name, stages, described, arm, comparison) for name in _PHASES}
    costs = {f"seconds_{name}": _seconds(stages, of[name]) for name in _PHASES}
    memory = [stages[stage].get("peak_memory_mib") for names in of.values() for stage in names]
    known = [value for value in memory if value is not None]
    costs["peak_memory_mib"] = max(known, default=math.nan)
    return costs, {} if known else {"memory": "not recorded"}


_PHASES = (
    "registration", "training", "embedding", "seeds", "probes", "gwas", "phewas", "other",
)  # fmt: skip


def _stages_of(
    phase: str,
    stages: Mapping[str, Mapping],
    described: Mapping[str, Mapping],
    arm: str,
    comparison: str | None,
) -> list[str]:
    """Name the finished stages of an arm that a phase is made of."""
    its = described[arm]
    fits, registers = f"arms/{arm}/fit registration", f"arms/{arm}/register"
    gives_latents = its["registration"] is not None and its["registration"] == its["latents_by"]
    inside = f"comparisons/{comparison}/"
    analyses = {"gwas": f"{inside}{arm}/gwas", "phewas": f"{inside}{arm}/phewas"}
    if phase == "registration":
        before = its["after"]
        earlier = (
            _stages_of(phase, stages, described, before, comparison) if before is not None else []
        )
        own = [] if gives_latents else [fits, registers, f"training_{registers}"]
        wanted = [*earlier, *own]
    elif phase == "training":
        fused = [f"fusions/{its['fusion']}/train"] if its["fusion"] else []
        wanted = [f"arms/{arm}/train", *fused, *([fits] if gives_latents else [])]
    elif phase == "embedding":
        wanted = [f"arms/{arm}/embed", *([registers] if gives_latents else [])]
    elif phase == "seeds":
        wanted = [stage for stage in stages if stage.startswith(f"arms/{arm}/seeds/")]
    elif phase == "probes":
        wanted = [f"{inside}probes"]
    elif phase in analyses:
        wanted = [analyses[phase]]
    else:
        wanted = [
            stage
            for stage in stages
            if stage.startswith(f"{inside}{arm}/") and stage not in analyses.values()
        ]
    return [stage for stage in wanted if stages.get(stage, {}).get("finished")]


def _seconds(stages: Mapping[str, Mapping], names: list[str]) -> float:
    return sum(stages[name]["seconds"] for name in names) if names else math.nan
