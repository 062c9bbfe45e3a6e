import numpy as np
import pandas as pd
from distributed import LocalCluster

from regreveal.cluster import on_cluster
from regreveal.ingest.ecg import ingest_ecg
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore


def test_a_cluster_reads_what_this_machine_reads(
    tmp_path, monkeypatch, write_cardiosoft, write_wfdb, write_ml4h
):
    raw = tmp_path / "raw"
    for name in ("xml", "hd5"):
        (raw / name).mkdir(parents=True)
    write_cardiosoft(raw / "xml" / "cardio.xml")
    write_wfdb(raw / "wfdb", "record", ["Age: >89", "Sex: Male", "Dx: 164889003"])
    write_ml4h(raw / "hd5" / "person.hd5")
    (raw / "note.txt").write_text("no recording")
    monkeypatch.chdir(tmp_path)  # what is given relative to it is found by workers, too
    here, there = TensorStore("here"), TensorStore("there")
    files = ingest_ecg(["raw"], here)
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        on_cluster(cluster.scheduler_address),
    ):
        pd.testing.assert_frame_equal(files, ingest_ecg(["raw"], there))
        again = ingest_ecg(["raw"], there)
    assert (again["outcome"] == "kept").sum() == 0
    ids = here.sample_ids("ecg/rest_10s")
    assert there.sample_ids("ecg/rest_10s") == ids
    assert len(ids) == 3
    for name in here.names():
        np.testing.assert_array_equal(here.read(name), there.read(name))
    tables = (read_table(store.path / "ecg_recordings.tsv") for store in (here, there))
    pd.testing.assert_frame_equal(*tables)
