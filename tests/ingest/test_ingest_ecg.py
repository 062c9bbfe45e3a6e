from multiprocessing import get_context

import numpy as np
import pytest
import scipy.io
from typer.testing import CliRunner

from regreveal.cli.ingest import ingest_app
from regreveal.ecg_leads import LEADS
from regreveal.errors import InputError
from regreveal.ingest import ecg
from regreveal.ingest.ecg import ingest_ecg
from regreveal.ingest.outcomes import summarise
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore

COLUMNS = [
    "source",
    "age",
    "sex",
    "rhythm",
    "heart_rate",
    "pr_interval",
    "qrs_duration",
    "qt_interval",
    "flags",
]


@pytest.fixture
def store(tmp_path):
    return TensorStore(tmp_path / "store")


@pytest.fixture
def one_of_each(tmp_path, write_cardiosoft, write_wfdb, write_dicom, write_ml4h):
    """A folder with the same signal in all four formats, in subfolders."""
    folder = tmp_path / "raw"
    for name in ("xml", "dcm", "hd5"):
        (folder / name).mkdir(parents=True)
    write_cardiosoft(folder / "xml" / "cardio.xml")
    write_wfdb(folder / "wfdb", "record", ["Age: >89", "Sex: Male", "Dx: 164889003"])
    write_dicom(folder / "dcm" / "waveform.dcm")
    write_ml4h(folder / "hd5" / "person.hd5")
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory, shared_data):
    """Everything in the shared data, ingested once."""
    store = TensorStore(tmp_path_factory.mktemp("real") / "store")
    folders = [shared_data / "ecg" / name for name in ("ludb/data", "cinc2021", "cardiosoft")]
    return store, ingest_ecg(folders, store)


def test_all_126_real_people_come_in_together(real):
    store, report = real
    assert report["outcome"].tolist() == ["kept"] * 126
    assert report["format"].value_counts().to_dict() == {"wfdb": 125, "cardiosoft": 1}
    assert store.shape("ecg/rest_10s") == (5000, 12)
    assert store.sample_ids("ecg/device_median") == ["example1"]
    attributes = store.attributes("ecg/rest_10s")
    assert (attributes["units"], attributes["sampling_rate"]) == ("mV", 500)
    tensors = store.read("ecg/rest_10s")
    assert np.isfinite(tensors).all()
    assert set(store.sample_ids("ecg/rest_10s")) == set(report["sample_id"])


def test_real_tensors_are_those_of_independent_readers(real, shared_data, values_in_cardiosoft):
    store, _ = real
    georgia, cardiosoft = store.read("ecg/rest_10s", ["E07503", "example1"])
    samples = scipy.io.loadmat(shared_data / "ecg/cinc2021/E07503.mat")["val"]
    np.testing.assert_allclose(georgia, samples.T / 1000, atol=1e-6)
    path = shared_data / "ecg/cardiosoft/example1.xml"
    for column, lead in enumerate(LEADS):
        expected = 0.005 * values_in_cardiosoft(path, "StripData", lead)
        np.testing.assert_allclose(cardiosoft[:, column], expected, atol=1e-6)


def test_the_table_of_real_recordings(real):
    table = read_table(real[0].path / "ecg_recordings.tsv")
    assert list(table.columns) == COLUMNS
    assert len(table) == 126
    assert table["age"].notna().all()
    assert table["sex"].value_counts().sum() == 126
    # 89 + 11 in LUDB's headers; 21 of 25 sinus codes in the challenge's, 4 without a rhythm.
    assert table["rhythm"].value_counts().to_dict() == {"sinus": 110, "other": 11}
    # 100 delineated by cardiologists, 1 measured by the device.
    assert table["qrs_duration"].notna().sum() == 101
    assert table["heart_rate"].notna().sum() == 101


def test_dead_leads_of_real_recordings_are_reported(real):
    _, report = real
    flags = report.set_index("sample_id")["flags"]
    dead = flags[flags.str.contains("dead lead")]
    assert dead.to_dict() == dict.fromkeys(["JS20004", "JS20008"], "dead lead: V2 V4 V6")


def test_four_formats_of_one_signal_give_one_tensor(one_of_each, store, microvolts):
    report = ingest_ecg([one_of_each], store)
    assert sorted(report["format"]) == ["cardiosoft", "dicom", "ml4h", "wfdb"]
    assert set(report["outcome"]) == {"kept"}
    for tensor in store.read("ecg/rest_10s"):
        np.testing.assert_allclose(tensor, microvolts / 1000, atol=1e-6)
    medians = store.read("ecg/device_median", ["cardio", "person"])
    np.testing.assert_allclose(medians[0], microvolts[:600] / 1000, atol=1e-6)
    np.testing.assert_array_equal(medians[0], medians[1])
    table = read_table(store.path / "ecg_recordings.tsv")
    assert table.loc["record", ["age", "sex", "rhythm"]].tolist() == [90, "male", "other"]
    assert table.loc["waveform", ["age", "sex"]].tolist() == [61, "female"]


def test_no_name_id_date_or_number_reaches_store_or_report(
    tmp_path, store, write_cardiosoft, write_dicom, write_ml4h, write_wfdb
):
    secrets = ["Quetzalcoatl", "ID-314159", "PID-", "19870317", "1987", "19260101", "SERIAL-2718"]
    secrets += ["1.2.3.4.5.6.7.8.9", "Confirmed", "542937600"]
    paths = [
        write_cardiosoft(tmp_path / "a.xml", name="Quetzalcoatl"),
        write_dicom(tmp_path / "b.dcm", name="Quetzalcoatl^Xolotl"),
        write_ml4h(tmp_path / "c.hd5"),
        write_wfdb(tmp_path / "d", "d", ["Name: Quetzalcoatl", "Date: 17/03/1987", "Age: 50"]),
        write_dicom(tmp_path / "e.dcm", name="Quetzalcoatl^Xolotl", signal=np.zeros((5000, 12))),
    ]
    damaged = tmp_path / "f.dcm"
    damaged.write_bytes(paths[1].read_bytes()[:900])
    report = ingest_ecg([*paths, damaged], store)
    assert (report["outcome"] == "kept").sum() == 4
    written = b"".join(path.read_bytes() for path in store.path.rglob("*") if path.is_file())
    written += report.to_csv().replace(str(tmp_path), "").encode()
    for secret in secrets:
        assert secret.encode() not in written


def test_files_that_are_no_ecg_are_counted_and_a_records_own_files_are_not(
    tmp_path, store, write_wfdb
):
    folder = tmp_path / "raw"
    write_wfdb(folder, "record")
    (folder / "record.ii").write_bytes(b"no annotation")
    (folder / "README").write_text("about")
    (folder / "empty.xml").write_bytes(b"")
    report = ingest_ecg([folder], store)
    dropped = report[report["outcome"] == "dropped"]
    assert [path.rsplit("/", 1)[1] for path in dropped["file"]] == ["README", "empty.xml"]
    assert set(dropped["reason"]) == {"not a known ECG format"}
    assert "unreadable annotation: ii" in report["flags"].tolist()
    counts = summarise(report).set_index(["outcome", "reason"])["count"]
    assert counts["read", ""] == 3
    assert counts["kept", ""] == 1
    assert counts["dropped", "not a known ECG format"] == 2


def test_flags_are_counted_by_kind(tmp_path, store, write_wfdb, microvolts):
    leads = [lead for lead in LEADS if lead not in ("III", "aVF")]
    columns = [LEADS.index(lead) for lead in leads]
    for record, repeats in (("a", 1), ("b", 2)):
        signal = np.tile(microvolts[:, columns] / 1000, (repeats, 1))
        write_wfdb(tmp_path / "raw", record, leads=leads, signal=signal)
    counts = summarise(ingest_ecg([tmp_path / "raw"], store)).set_index(["outcome", "reason"])
    assert counts.loc[("flagged", "limb lead derived"), "count"] == 2
    assert counts.loc[("flagged", "longer than 10 s"), "count"] == 1


def test_a_second_run_skips_what_is_there_and_adds_the_rest(one_of_each, tmp_path, store):
    ingest_ecg([one_of_each / "wfdb", one_of_each / "dcm"], store)
    before = read_table(store.path / "ecg_recordings.tsv")
    report = ingest_ecg([one_of_each], store)
    assert report["outcome"].value_counts().to_dict() == {"kept": 2, "skipped": 2}
    after = read_table(store.path / "ecg_recordings.tsv")
    assert set(after.index) == set(store.sample_ids("ecg/rest_10s"))
    assert after.loc[before.index, "age"].tolist() == before["age"].tolist()
    assert (ingest_ecg([one_of_each], store)["outcome"] == "skipped").all()


@pytest.mark.parametrize("dies_at", ["ecg/device_median", "ecg/rest_10s"])
def test_a_run_killed_between_writes_is_completed_by_the_next(
    one_of_each, tmp_path, store, monkeypatch, dies_at
):
    def write(self, name, *arguments, **keywords):
        if name == dies_at:
            raise KeyboardInterrupt
        return whole_write(self, name, *arguments, **keywords)

    whole_write = TensorStore.write
    with monkeypatch.context() as patch:
        patch.setattr(TensorStore, "write", write)
        with pytest.raises(KeyboardInterrupt):
            ingest_ecg([one_of_each], store)
    ingest_ecg([one_of_each], store)
    people = set(store.sample_ids("ecg/rest_10s"))
    assert people == {"cardio", "record", "waveform", "person"}
    assert set(read_table(store.path / "ecg_recordings.tsv").index) == people
    assert set(store.sample_ids("ecg/device_median")) == {"cardio", "person"}


def ingest_one_a_shard(barrier, folder, store_path):
    ecg.SHARD_SIZE = 1
    store = TensorStore(store_path)
    barrier.wait()
    ingest_ecg([folder], store)


def test_ingests_at_the_same_time_into_one_store_add_up(tmp_path, store, write_wfdb):
    people = {"shared0", "shared1"}
    for folder in ("a", "b"):
        names = [f"{folder}{number}" for number in range(6)]
        people |= set(names)
        for name in ("shared0", *names, "shared1"):
            write_wfdb(tmp_path / folder, name, [f"Age: {len(people)}"])
    spawn = get_context("spawn")
    barrier = spawn.Barrier(2)
    ingests = [
        spawn.Process(target=ingest_one_a_shard, args=(barrier, tmp_path / folder, store.path))
        for folder in ("a", "b")
    ]
    for ingest in ingests:
        ingest.start()
    for ingest in ingests:
        ingest.join()
    assert [ingest.exitcode for ingest in ingests] == [0, 0]
    assert sorted(store.sample_ids("ecg/rest_10s")) == sorted(people)
    table = read_table(store.path / "ecg_recordings.tsv")
    assert sorted(table.index) == sorted(people)
    assert table["age"].notna().all()


def test_what_another_ingest_brought_meanwhile_is_skipped(tmp_path, store, write_wfdb, monkeypatch):
    def normalise_meanwhile(recording):
        monkeypatch.setattr(ecg, "normalise", normalise)
        ingest_ecg([tmp_path / "raw"], TensorStore(store.path))
        return normalise(recording)

    normalise = ecg.normalise
    write_wfdb(tmp_path / "raw", "a")
    monkeypatch.setattr(ecg, "normalise", normalise_meanwhile)
    report = ingest_ecg([tmp_path / "raw"], store)
    assert report[["outcome", "reason"]].to_numpy().tolist() == [
        ["skipped", "already in the store"]
    ]
    assert store.sample_ids("ecg/rest_10s") == ["a"]


def test_many_recordings_are_written_in_shards_of_bounded_size(
    tmp_path, store, write_wfdb, monkeypatch
):
    monkeypatch.setattr(ecg, "SHARD_SIZE", 2)
    for number in range(5):
        write_wfdb(tmp_path / "raw", f"r{number}")
    ingest_ecg([tmp_path / "raw"], store)
    shards = sorted((store.path / "ecg/rest_10s").glob("part-*.h5"))
    assert len(shards) == 3
    assert store.sample_ids("ecg/rest_10s") == [f"r{number}" for number in range(5)]
    assert len(read_table(store.path / "ecg_recordings.tsv")) == 5


def test_worker_processes_give_the_same_store(one_of_each, tmp_path, store):
    ingest_ecg([one_of_each], store)
    other = TensorStore(tmp_path / "other")
    ingest_ecg([one_of_each], other, workers=2)
    people = store.sample_ids("ecg/rest_10s")
    np.testing.assert_array_equal(
        other.read("ecg/rest_10s", people), store.read("ecg/rest_10s", people)
    )


def test_two_files_with_one_sample_id_are_an_error_that_names_both(
    tmp_path, store, write_wfdb, write_dicom
):
    write_wfdb(tmp_path / "raw", "same")
    write_dicom(tmp_path / "raw" / "same.dcm")
    with pytest.raises(InputError, match=r"same\.\w+ and .*same\.\w+: both have the sample id"):
        ingest_ecg([tmp_path / "raw"], store)
    assert not store.path.exists()


def test_one_file_named_twice_is_read_once(tmp_path, store, write_dicom):
    path = write_dicom(tmp_path / "a.dcm")
    assert len(ingest_ecg([path, tmp_path, path], store)) == 1


def test_the_first_visit_of_a_uk_biobank_participant_is_kept(tmp_path, store, write_cardiosoft):
    for visit in (3, 2):
        write_cardiosoft(tmp_path / f"1000012_20205_{visit}_0.xml")
    report = ingest_ecg([tmp_path], store).set_index("outcome")
    assert store.sample_ids("ecg/rest_10s") == ["1000012"]
    assert report.loc["kept", "file"].endswith("1000012_20205_2_0.xml")
    assert report.loc["dropped", ["reason", "detail"]].tolist() == [
        "later visit",
        "visit 3; kept 2",
    ]


def test_a_useless_median_costs_the_median_only(tmp_path, store, write_cardiosoft):
    path = write_cardiosoft(tmp_path / "a.xml")
    text = path.read_text()
    start, end = text.index("<MedianSamples>"), text.index("</MedianSamples>")
    path.write_text(text[:start] + text[start:end].replace('lead="V3"', 'lead="V9"') + text[end:])
    report = ingest_ecg([path], store)
    assert report["flags"].tolist() == ["device median left out: missing lead, V3"]
    assert store.names() == ["ecg/rest_10s"]


def test_nothing_usable_is_one_line_and_leaves_no_store(tmp_path, store, write_dicom):
    path = write_dicom(tmp_path / "a.dcm", signal=np.zeros((5000, 12)))
    with pytest.raises(InputError, match=r"a\.dcm: dead lead: I II") as caught:
        ingest_ecg([path], store)
    assert "\n" not in str(caught.value)
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(InputError, match=r"none of 2 files could be used: 1 "):
        ingest_ecg([tmp_path], store)
    assert not store.path.exists()


def test_a_path_that_does_not_exist_and_an_empty_folder(tmp_path, store):
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        ingest_ecg([tmp_path / "nowhere"], store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no files found"):
        ingest_ecg([tmp_path / "empty"], store)


def test_the_command_prints_counts_by_reason_and_writes_a_report(one_of_each, tmp_path):
    (one_of_each / "notes.txt").write_text("notes")
    arguments = ["ecg", str(one_of_each), "--store", str(tmp_path / "s")]
    result = CliRunner().invoke(ingest_app, [*arguments, "--report", str(tmp_path / "report.tsv")])
    assert result.exit_code == 0
    lines = [line.split(maxsplit=2) for line in result.output.splitlines()]
    assert lines == [["read", "5"], ["kept", "4"], ["dropped", "1", "not a known ECG format"]]
    assert len((tmp_path / "report.tsv").read_text().splitlines()) == 6
    assert len(TensorStore(tmp_path / "s").sample_ids("ecg/rest_10s")) == 4


def test_the_command_fails_where_nothing_could_be_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    result = CliRunner().invoke(ingest_app, ["ecg", str(tmp_path), "--store", str(tmp_path / "s")])
    assert result.exit_code == 1
    assert isinstance(result.exception, InputError)
