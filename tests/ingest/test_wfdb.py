import re

import numpy as np
import pytest
import scipy.io
import wfdb as reference

from regreveal.errors import InputError
from regreveal.ingest import wfdb
from regreveal.ingest.normalisation import normalise


def header_of(shared_data, name):
    folder = "ecg/ludb/data" if name.isdigit() else "ecg/cinc2021"
    return shared_data / folder / f"{name}.hea"


@pytest.mark.parametrize("name", ["E07500", "HR06000", "JS20000"])
def test_mat_signals_are_those_that_scipy_reads(shared_data, name):
    path = header_of(shared_data, name)
    (recording,) = wfdb.read(path)
    millivolts = scipy.io.loadmat(path.with_suffix(".mat"))["val"].T / 1000
    np.testing.assert_allclose(recording.signal, millivolts, atol=1e-12)
    assert recording.flags == ()


def test_dat_signals_are_those_of_the_reference_reader(tmp_path, write_wfdb):
    path = write_wfdb(tmp_path, "a", adc_gain=[200.0 + n for n in range(12)], baseline=[7] * 12)
    (recording,) = wfdb.read(path)
    expected = reference.rdrecord(str(tmp_path / "a")).p_signal
    np.testing.assert_allclose(recording.signal, expected, atol=1e-12)


def test_ludb_is_read_in_the_microvolts_its_samples_are_in(shared_data):
    # Its header gains make every lead's range 1 mV; by the raw integers Einthoven's law is exact.
    path = header_of(shared_data, "1")
    (recording,) = wfdb.read(path)
    raw = np.fromfile(path.with_suffix(".dat"), dtype="<i2").reshape(5000, 12)
    np.testing.assert_allclose(recording.signal, raw / 1000, atol=1e-12)
    assert len(recording.flags) == 1
    assert recording.flags[0].startswith("gains only scale each lead to 1 mV")


def test_einthovens_law_holds_in_every_real_recording(shared_data):
    for name in ("1", "17", "100", "E07500", "HR06003", "JS20009"):
        tensor, _ = normalise(wfdb.read(header_of(shared_data, name))[0])
        i, ii, iii, avr, avl, avf = tensor.T[:6]
        # Samples are whole steps; the augmented leads are halves, and Georgia has steps of 5 µV.
        np.testing.assert_allclose(iii, ii - i, atol=0.0051)
        np.testing.assert_allclose(avr, -(i + ii) / 2, atol=0.0051)
        np.testing.assert_allclose(avl, i - ii / 2, atol=0.0051)
        np.testing.assert_allclose(avf, ii - i / 2, atol=0.0051)


def test_a_real_calibration_is_never_taken_for_one_that_scales_to_unit_range(tmp_path, write_wfdb):
    (recording,) = wfdb.read(write_wfdb(tmp_path, "a"))
    assert recording.flags == ()


def test_a_header_without_gains_is_flagged(tmp_path, write_wfdb):
    path = write_wfdb(tmp_path, "a")
    path.write_text(path.read_text().replace("1000.0(0)/mV", "0"))
    (recording,) = wfdb.read(path)
    assert recording.flags == ("no gain in the header: read as 200 units per mV",)
    raw = reference.rdrecord(str(tmp_path / "a"), physical=False).d_signal
    np.testing.assert_allclose(recording.signal, raw / 200)


@pytest.mark.parametrize(
    ("codes", "rhythm", "flagged"),
    [
        ("426783006,164934002", "sinus", False),
        ("426177001", "sinus", False),
        ("427393009, 427084000", "sinus", False),
        ("164889003,59118001", "other", False),
        ("10370003", "other", False),
        ("164873001", None, False),
        ("426783006,164889003", None, True),
    ],
)
def test_rhythm_codes(tmp_path, write_wfdb, codes, rhythm, flagged):
    (recording,) = wfdb.read(write_wfdb(tmp_path, "a", [f"Dx: {codes}"]))
    assert recording.facts.rhythm == rhythm
    assert bool(recording.flags) == flagged


def test_people_in_comments_of_either_database(tmp_path, write_wfdb):
    ludb = ["<age>: 51", "<sex>: F", "<diagnoses>:", "Rhythm: Sinus bradycardia."]
    cinc = ["Age: NaN", "Sex: Male", "Dx: 164890007"]
    first = wfdb.read(write_wfdb(tmp_path, "a", ludb))[0].facts
    second = wfdb.read(write_wfdb(tmp_path, "b", cinc))[0].facts
    assert (first.age, first.sex, first.rhythm) == (51, "female", "sinus")
    assert (second.age, second.sex, second.rhythm) == (None, "male", "other")


def test_age_sex_and_rhythm_of_all_ludb_as_its_headers_say(shared_data):
    for path in sorted((shared_data / "ecg/ludb/data").glob("*.hea"))[::9]:
        text = path.read_text()
        facts = wfdb.read(path)[0].facts
        assert facts.age == int(re.search(r"<age>: (\d+)", text)[1])
        assert facts.sex == {"F": "female", "M": "male"}[re.search(r"<sex>: (\w)", text)[1]]
        assert facts.rhythm == ("sinus" if "Rhythm: Sinus" in text else "other")


def test_qrs_duration_and_rate_from_annotations_of_known_beats(tmp_path, write_wfdb):
    path = write_wfdb(tmp_path, "a")
    peaks = np.arange(300, 4700, 400)
    for number, lead in enumerate(("i", "ii", "iii", "avr", "avl", "avf", "v1")):
        # Onsets spread over the leads by 2 samples each; the median lead has 20 before the peak.
        marks = np.stack([peaks - 26 + 2 * number, peaks, peaks + 25, peaks + 90, peaks + 120])
        # One lead has a complex that no other sees: it is no beat.
        if lead == "v1":
            marks = np.concatenate([marks, [[4790], [4800], [4810], [4840], [4860]]], axis=1)
        reference.wrann(
            "a", "x", marks.T.ravel(), list("(N)(t") * marks.shape[1], write_dir=str(tmp_path)
        )
        # The reference writer does not take digits in a suffix, such as LUDB has.
        (tmp_path / "a.x").rename(tmp_path / f"a.{lead}")
    facts = wfdb.read(path)[0].facts
    assert facts.qrs_duration == (20 + 25) * 2
    assert facts.heart_rate == pytest.approx(60 * 500 / 400)


def test_qrs_durations_of_ludb_are_human(shared_data):
    facts = [wfdb.read(header_of(shared_data, str(name)))[0].facts for name in range(1, 101, 12)]
    assert all(60 <= one.qrs_duration <= 200 for one in facts)
    assert all(35 <= one.heart_rate <= 160 for one in facts)


def truncate(folder):
    (folder / "a.dat").write_bytes((folder / "a.dat").read_bytes()[:60_000])


def truncate_oddly(folder):
    (folder / "a.dat").write_bytes((folder / "a.dat").read_bytes()[:60_001])


def remove_signal(folder):
    (folder / "a.dat").unlink()


def garble_signal_line(folder):
    path = folder / "a.hea"
    path.write_text(path.read_text().replace("a.dat 16", "a.dat 999", 1))


def rename_sample_format(folder):
    path = folder / "a.hea"
    path.write_text(path.read_text().replace("a.dat 16", "a.dat 56"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (rename_sample_format, "unreadable file: the header names a sample format"),
        (truncate, "unreadable file"),
        (truncate_oddly, "unreadable file"),
        (remove_signal, r"signal file missing: the header names a\.dat"),
        (garble_signal_line, "unreadable file"),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(tmp_path, write_wfdb, damage, reason):
    path = write_wfdb(tmp_path, "a")
    damage(tmp_path)
    with pytest.raises(InputError, match=rf"a\.hea: {reason}") as caught:
        wfdb.read(path)
    assert "\n" not in str(caught.value)


def test_only_headers_are_recognised(tmp_path, write_wfdb):
    header = write_wfdb(tmp_path, "a")
    prose = tmp_path / "b.hea"
    prose.write_text("Heading\n")
    assert wfdb.recognises(header)
    assert not wfdb.recognises(prose)
    assert not wfdb.recognises(tmp_path / "a.dat")


def test_a_long_recording_is_not_read_whole(tmp_path, write_wfdb, microvolts):
    path = write_wfdb(tmp_path, "a", signal=np.tile(microvolts / 1000, (5, 1)))
    assert len(wfdb.read(path)[0].signal) == 12 * 500


def test_a_lead_without_a_name_is_a_missing_lead(tmp_path, write_wfdb):
    path = write_wfdb(tmp_path, "a")
    path.write_text(re.sub(r" V3$", "", path.read_text(), flags=re.MULTILINE))
    (recording,) = wfdb.read(path)
    assert recording.leads[8] == ""
    with pytest.raises(InputError, match="missing lead: V3"):
        normalise(recording)


@pytest.mark.parametrize("name", ["V3/V4", "../a", "hea", "."])
def test_a_lead_whose_name_is_no_suffix_has_no_annotation(tmp_path, write_wfdb, name):
    path = write_wfdb(tmp_path, "a")
    path.write_text(re.sub(r" V3$", f" {name}", path.read_text(), flags=re.MULTILINE))
    (recording,) = wfdb.read(path)
    assert recording.leads[8] == name
    assert recording.facts.heart_rate is None


def test_a_gain_may_begin_with_its_point_and_one_of_two_points_is_damage(tmp_path, write_wfdb):
    path = write_wfdb(tmp_path, "a")
    header = path.read_text()
    path.write_text(header.replace("1000.0(0)", ".5"))
    assert wfdb.read(path)[0].flags == ()
    path.write_text(header.replace("1000.0(0)", "1.2.3"))
    with pytest.raises(InputError, match="missing lead"):
        normalise(wfdb.read(path)[0])
