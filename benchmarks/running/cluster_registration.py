"""Registration, embedding and ingest of images by a cluster, against what this machine gives.

    python benchmarks/running/cluster_registration.py RUN FOLDER [ARM ... pictures]

registers, embeds and reads again some participants of a finished run of the demo, here and on a
scheduler with two worker processes, and says of each method whether the bits are the same.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from distributed import LocalCluster
from PIL import Image

from regreveal.cluster import on_cluster
from regreveal.ingest.images import ingest_images
from regreveal.models import embedding
from regreveal.registration import latents, stage
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map

PEOPLE, PIECE = 40, 10

# Arm of the demo, its method, and tensor maps of what goes in and what comes out.
REGISTERED = {
    "brain_mni": ("Affine", "brain.t1_native_6mm", "brain.t1_brain_6mm"),
    "cardiac_voxelmorph": ("VoxelMorph", "cardiac.lax_4ch_small", "cardiac.lax_4ch_small"),
    "dxa_homography": ("Homography", "dxa.body", "dxa.body"),
    "ecg_aligned": ("QRSAlignment", "ecg.rest_10s", "ecg.median"),
}
LATENTS = {
    "cardiac_number": ("DeepCycle, circular = false", "cardiac.lax_4ch_small"),
    "cardiac_phase": ("DeepCycle", "cardiac.lax_4ch_small"),
}
EMBEDDED = {"cardiac_native": "cardiac.lax_4ch_small", "dxa_native": "dxa.body"}


def same_arrays(one: np.ndarray, other: np.ndarray) -> str:
    """Say whether arrays hold the same bits, or how far they are apart."""
    if one.tobytes() == other.tobytes():
        return f"the same bits ({', '.join(map(str, one.shape))})"
    size = np.sqrt(np.nanmean(one.astype(float) ** 2))
    return f"differ by up to {np.nanmax(np.abs(one - other)):.1e} (rms {size:.2g})"


def both(name: str, work: Callable[[Path], np.ndarray], folder: Path, address: str) -> None:
    """Do the same work here and there, and say what came of it, if it is asked for."""
    if name.partition(" ")[0] not in (sys.argv[3:] or [name.partition(" ")[0]]):
        return
    arrays, seconds = [], []
    for place, cluster in (("here", None), ("there", address)):
        started = time.monotonic()
        with on_cluster(cluster):
            arrays.append(work(folder / f"{name}-{place}"))
        seconds.append(time.monotonic() - started)
    told = f"{seconds[0]:.1f} s here, {seconds[1]:.1f} s there"
    print(f"{name}: {same_arrays(*arrays)}; {told}", flush=True)


def main(run: Path, folder: Path) -> None:
    everyone = TensorStore(run / "data" / "tensors")
    store = TensorStore(folder / "tensors")
    maps = {arm[1] for arm in (*REGISTERED.values(), *LATENTS.values())} | set(EMBEDDED.values())
    for name in sorted(maps):
        path = find_tensor_map(name).path
        ids = everyone.sample_ids(path)[:PEOPLE]
        known = everyone.attributes(path)
        store.write(path, everyone.read(path, ids), ids, **known)
    # The command cuts pieces: so few people would be one.
    stage.CHUNK = PIECE
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        for arm, (method, source, target) in REGISTERED.items():
            taken, given = find_tensor_map(source), find_tensor_map(target)

            def register(out, arm=arm, method=method, taken=taken, given=given):
                saved = run / "arms" / arm / "registration"
                stage.register_store(method, saved, store, taken, given, out)
                made = TensorStore(out / "registered")
                return made.read(given.path, made.sample_ids(given.path))

            both(f"{arm} ({method})", register, folder, address)
        for arm, (method, name) in LATENTS.items():
            taken = find_tensor_map(name)
            latents.CHUNK_BYTES = PIECE * 4 * int(np.prod(taken.shape))

            def give_latents(out, arm=arm, taken=taken):
                saved, model = (run / "arms" / arm / part for part in ("registration", "model"))
                out.mkdir(parents=True)
                latents.embed_store("DeepCycle", saved, model, store, taken, out)
                given = Embedding.read(out / latents.LATENTS)
                return given.select(given.sample_ids)

            both(f"{arm} ({method})", give_latents, folder, address)
        for arm, name in EMBEDDED.items():
            taken = find_tensor_map(name)
            embedding.BLOCK_BYTES = PIECE * 4 * int(np.prod(taken.shape))
            ids = store.sample_ids(taken.path)

            def embed(_, arm=arm, ids=ids):
                return embedding.embed(run / "arms" / arm / "model", store, ids).select(ids)

            both(f"{arm} (encoder)", embed, folder, address)
        body = find_tensor_map("dxa.body")
        pictures = folder / "pictures"
        pictures.mkdir()
        for sample_id, picture in zip(ids, store.read(body.path, ids), strict=True):
            grey = np.clip(picture / picture.max() * 255, 0, 255).astype(np.uint8)
            Image.fromarray(grey.squeeze()).save(pictures / f"{sample_id}.png")

        def ingest(out):
            made = TensorStore(out)
            ingest_images([pictures], made, body, voxel_size=None)
            return made.read(body.path, made.sample_ids(body.path))

        both("pictures (ingest)", ingest, folder, address)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).absolute())
