"""What an experiment file may say as a whole, and what of it goes together."""

from typing import Any

from pydantic import Field, model_validator

from regreveal.experiment.analysis_settings import (
    Clusters,
    Directions,
    Gwas,
    Phewas,
    Probes,
    Recurrence,
    Replication,
    Settings,
)
from regreveal.experiment.arm_settings import (
    Arm,
    Autoencoder,
    Comparison,
    Fusion,
    method_gives_latents,
)
from regreveal.experiment.data_settings import Data, Simulation, Splits, Training


class Experiment(Settings):
    """An experiment file.

    Parameters
    ----------
    title : str
        Of the report.
    seed : int
        Splits, networks and resampling are drawn from it.
    tensormaps : str
        The package that declares the tensor maps.
    data, training, splits, autoencoder, arms, fusions, comparisons, probes, gwas, phewas, clusters,
    replication, recurrence, directions
        The tables of the file. An analysis without a table is not made.
    """

    title: str
    seed: int = Field(1, ge=0)
    tensormaps: str = "tensormaps"
    data: Data
    training: Training | None = None
    splits: Splits = Splits()
    autoencoder: Autoencoder = Autoencoder()
    arms: dict[str, Arm] = Field(min_length=1)
    fusions: dict[str, Fusion] = Field({})
    comparisons: dict[str, Comparison] = Field({})
    probes: Probes | None = None
    gwas: Gwas | None = None
    phewas: Phewas | None = None
    clusters: Clusters | None = None
    replication: Replication | None = None
    recurrence: Recurrence | None = None
    directions: Directions | None = None

    @model_validator(mode="before")
    @classmethod
    def _share_the_autoencoder(cls, content: Any) -> Any:
        """Give every arm that has one the experiment's autoencoder, with what the arm changes."""
        if not isinstance(content, dict) or not isinstance(content.get("arms"), dict):
            return content
        shared = content.get("autoencoder", {})
        arms = dict(content["arms"])
        for name, arm in arms.items():
            if not isinstance(arm, dict) or _latents_made_by(arm):
                continue
            own = arm.get("autoencoder", {})
            if isinstance(own, dict) and isinstance(shared, dict):
                arms[name] = {**arm, "autoencoder": {**shared, **own}}
        return {**content, "arms": arms}

    @model_validator(mode="after")
    def _analyses_have_what_they_need(self):
        analyses = ("probes", "gwas", "phewas", "clusters")
        analyses += ("replication", "recurrence", "directions")
        asked = [name for name in analyses if getattr(self, name)]
        if asked and not self.comparisons:
            raise ValueError(f"{asked[0]} needs a comparison; there is no table [comparisons.NAME]")
        if self.probes:
            self._check_targets()
        if self.clusters and not self.gwas:
            raise ValueError("clusters are of the GWAS's lead variants; there is no table [gwas]")
        if self.directions and not (self.gwas or self.phewas):
            raise ValueError(
                "directions are of loci and diseases; there is no table [gwas] or [phewas]"
            )
        for name in ("replication", "recurrence"):
            if getattr(self, name) and not self.gwas:
                raise ValueError(f"{name} is of the GWAS's loci; there is no table [gwas]")
        if self.comparisons and not self.training and self.splits.analysis == 0:
            raise ValueError("splits.analysis is 0; comparisons need analysis participants")
        return self

    @model_validator(mode="after")
    def _nobody_learned_from_is_analysed(self):
        if self.training and self.data.simulate:
            seed = self.seed_of(self.training.simulate)
            if seed == self.seed_of(self.data.simulate):
                raise ValueError(
                    f"data.simulate and training.simulate both have the seed {seed}: the same "
                    "people would be learned from and analysed; give one of them another seed"
                )
        return self

    def seed_of(self, simulation: Simulation) -> int:
        """Give the seed of a simulation: its own, or else the experiment's."""
        return self.seed if simulation.seed is None else simulation.seed

    def _check_targets(self) -> None:
        probed = {name: self.targets_of(name) for name in self.comparisons}
        for name, targets in probed.items():
            if not targets:
                raise ValueError(
                    f"probes.targets is empty, and comparisons.{name} has no targets of its own"
                )
        everything = {target for targets in probed.values() for target in targets}
        for key in ("categorical", "continuous"):
            for name in getattr(self.probes, key):
                if name not in everything:
                    raise ValueError(f"probes.{key}: '{name}' is not among the targets")

    def targets_of(self, comparison: str) -> list[str]:
        """Name what a comparison probes: its own targets, or else those of all."""
        return self.comparisons[comparison].targets or self.probes.targets

    @model_validator(mode="after")
    def _names_are_known(self):
        named = {"arm": self.arms, "fusion": self.fusions, "comparison": self.comparisons}
        for kind, names in named.items():
            for name in names:
                if not name.replace("_", "").replace("-", "").isalnum() or name == "oracle":
                    raise ValueError(
                        f"{kind} '{name}': expected letters, digits, - and _ (and not 'oracle')"
                    )
        self._check_chains()
        self._check_latents()
        for name in self.fusions:
            self._check_fusion(name)
        if self.recurrence:
            self._check_recurrence()
        for name, comparison in self.comparisons.items():
            for arm in comparison.arms:
                if arm not in self.arms:
                    raise ValueError(
                        f"comparisons.{name}: no arm '{arm}' (there are: {', '.join(self.arms)})"
                    )
            if comparison.baseline == comparison.against:
                raise ValueError(f"comparisons.{name}: both arms are '{comparison.baseline}'")
        return self

    def further_seeds(self, arm: str) -> list[int]:
        """Give the seeds that an arm's autoencoder is trained again with."""
        if self.recurrence is None or arm not in self.recurrence.arms:
            return []
        return [self.seed + more for more in range(1, self.recurrence.seeds + 1)]

    def _check_recurrence(self) -> None:
        trained = [name for name, arm in self.arms.items() if not (arm.fusion or arm.gives_latents)]
        compared = {arm for comparison in self.comparisons.values() for arm in comparison.arms}
        for name in self.recurrence.arms:
            if name not in trained:
                raise ValueError(
                    f"recurrence.arms: '{name}' is no arm with an autoencoder of its own "
                    f"(there are: {', '.join(trained) or 'none'})"
                )
            if name not in compared:
                raise ValueError(f"recurrence.arms: '{name}' is in no comparison")

    def _check_chains(self) -> None:
        """Check that an arm that goes on from another is below it, and that one registered."""
        above: dict[str, Arm] = {}
        for name, arm in self.arms.items():
            registered = [
                other
                for other, earlier in above.items()
                if earlier.registration and not earlier.gives_latents
            ]
            if arm.after is not None and arm.after not in registered:
                raise ValueError(
                    f"arms.{name}: after '{arm.after}', which is no registered arm above it "
                    f"(there are: {', '.join(registered) or 'none'})"
                )
            above[name] = arm

    def _check_latents(self) -> None:
        """Check that one thing makes an arm's latents."""
        for name, arm in self.arms.items():
            if arm.fusion is not None and arm.fusion not in self.fusions:
                raise ValueError(
                    f"arms.{name}: no fusion '{arm.fusion}' "
                    f"(there are: {', '.join(self.fusions) or 'none'})"
                )
            if arm.fusion and arm.registration:
                raise ValueError(
                    f"arms.{name}: has a fusion and a registration; expected one of them: register "
                    "in an arm of its own and go on from it with 'after'"
                )
            if arm.autoencoder and (arm.fusion or arm.gives_latents):
                maker = "a fusion" if arm.fusion else arm.registration.method
                raise ValueError(
                    f"arms.{name}: has an autoencoder, but its latents are those of {maker}; leave "
                    "the autoencoder out"
                )

    def _check_fusion(self, name: str) -> None:
        arms = self.arms_of(name)
        if len(arms) < 2:
            raise ValueError(
                f"fusions.{name}: {len(arms)} arm names it ({', '.join(arms) or 'none'}); expected "
                "at least two, one a modality"
            )
        of_map: dict[str, str] = {}
        for arm in arms:
            tensor_map = self.arms[arm].tensor_map
            if tensor_map in of_map:
                raise ValueError(
                    f"fusions.{name}: the arms '{of_map[tensor_map]}' and '{arm}' are both of "
                    f"{tensor_map}; expected another tensor map in each"
                )
            of_map[tensor_map] = arm
        started: set[str] = set()
        for arm in self.fusions[name].warm_start:
            self._check_warm_start(name, arm, of_map)
            if self.arms[arm].tensor_map in started:
                raise ValueError(
                    f"fusions.{name}: warm_start names two arms of {self.arms[arm].tensor_map}; "
                    "expected at most one"
                )
            started.add(self.arms[arm].tensor_map)

    def _check_warm_start(self, name: str, arm: str, of_map: dict[str, str]) -> None:
        """Check that an arm has an encoder that a fusion's can start from."""
        asked = f"fusions.{name}: warm_start from '{arm}'"
        trained = [other for other, its in self.arms.items() if its.autoencoder]
        if arm not in trained:
            raise ValueError(
                f"{asked}, which is no arm with an autoencoder (there are: "
                f"{', '.join(trained) or 'none'})"
            )
        if self.arms[arm].tensor_map not in of_map:
            raise ValueError(
                f"{asked}, which is of {self.arms[arm].tensor_map}; expected one of "
                f"{', '.join(of_map)}"
            )
        there, asked_for = self.arms[arm].autoencoder.latent_size, self.fusions[name].latent_size
        if there != asked_for:
            raise ValueError(f"{asked}, which has {there} latents; the fusion has {asked_for}")

    def arms_of(self, fusion: str) -> list[str]:
        """Name the arms that are a fusion's modalities."""
        return [name for name, arm in self.arms.items() if arm.fusion == fusion]

    def first_input(self, name: str) -> str:
        """Name the tensor map that the data hold, at the start of an arm's registrations."""
        arm = self.arms[name]
        return self.first_input(arm.after) if arm.after else arm.input


def _latents_made_by(arm: dict) -> str | None:
    """Say what makes an arm's latents, where it is no autoencoder."""
    registration = arm.get("registration")
    method = registration.get("method") if isinstance(registration, dict) else None
    return arm.get("fusion") or (method if method_gives_latents(method) else None)
