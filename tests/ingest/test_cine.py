import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from regreveal.errors import InputError
from regreveal.ingest import archive, dicom_image
from regreveal.ingest.cine import read_cines
from regreveal.ingest.dicom_files import open_datasets

SOURCE = Path("1234567_20208_2_0.zip")
FRAMES = 50


def frame(pixels, number=None, trigger=None, description="CINE_segmented_LAX_4Ch", **tags):
    """One frame of a cine, or several in one file, as an MR scanner writes it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3"
    dataset.Modality, dataset.SeriesDescription = "MR", description
    dataset.SeriesInstanceUID = "1.2.3." + str(sum(map(ord, description)))
    dataset.SeriesNumber = 6
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelSpacing = [1.8, 1.6]
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    if number is not None:
        dataset.InstanceNumber = number
    if trigger is not None:
        dataset.TriggerTime = trigger
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def read(files, series=None):
    """Read files, each named by its place in the list."""
    named = [(f"{place:04}.dcm", file) for place, file in enumerate(files)]
    opened = open_datasets(named, SOURCE)
    return read_cines([(where, dataset) for where, _, dataset in opened], SOURCE, series)


@pytest.fixture(scope="module")
def heart():
    """Frames, rows, columns; no two frames alike."""
    return np.random.default_rng(1).integers(0, 4096, (FRAMES, 5, 4))


@pytest.fixture(scope="module")
def files(heart):
    return [
        frame(pixels, number + 1, 18.5 * number, CardiacNumberOfImages=FRAMES)
        for number, pixels in enumerate(heart)
    ]


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(FRAMES)))
def test_the_order_of_files_changes_nothing(heart, files, order):
    [cine] = read([files[place] for place in order])
    np.testing.assert_array_equal(cine.pixels, np.moveaxis(heart, 0, -1))


def test_a_cine_says_what_it_is(files):
    [cine] = read(files)
    assert cine.pixels.shape == (5, 4, FRAMES)
    assert cine.pixels.dtype == np.float32
    assert cine.voxel_size == (1.8, 1.6)
    assert (cine.kind, cine.series) == ("cardiac", "cine_segmented_lax_4ch")
    assert (cine.sample_id, cine.visit, cine.flags) == ("1234567", 2, ())


def enhanced(pixels, orders):
    """A multi-frame file whose functional groups tell the order of frames."""
    groups = []
    for index in range(len(pixels)):
        group, timing, content = Dataset(), Dataset(), Dataset()
        if "NominalCardiacTriggerDelayTime" in orders:
            timing.NominalCardiacTriggerDelayTime = orders["NominalCardiacTriggerDelayTime"][index]
        if "TemporalPositionIndex" in orders:
            content.TemporalPositionIndex = int(orders["TemporalPositionIndex"][index])
        group.CardiacSynchronizationSequence, group.FrameContentSequence = [timing], [content]
        groups.append(group)
    shared, measures = Dataset(), Dataset()
    measures.PixelSpacing = [1.8, 1.6]
    shared.PixelMeasuresSequence = [measures]
    tags = {"PerFrameFunctionalGroupsSequence": groups, "SharedFunctionalGroupsSequence": [shared]}
    return frame(pixels, number=1, PixelSpacing=None, **tags)


@pytest.mark.parametrize(
    "told_by", ["NominalCardiacTriggerDelayTime", "TemporalPositionIndex", None]
)
def test_a_multi_frame_file_reads_as_single_frames_do(heart, files, told_by):
    order = np.random.default_rng(0).permutation(FRAMES)
    if told_by is None:
        [cine] = read([frame(heart, number=1)])
    else:
        ranks = order * 20.0 if "Time" in told_by else order + 1
        [cine] = read([enhanced(heart[order], {told_by: ranks})])
    [expected] = read(files)
    np.testing.assert_array_equal(cine.pixels, expected.pixels)
    assert (cine.voxel_size, cine.series) == (expected.voxel_size, expected.series)


def test_a_real_multi_frame_file_is_read_by_its_frames():
    path = Path(get_testdata_file("examples_ybr_color.dcm", download=False))
    [(_, _, dataset)] = open_datasets([(path.name, path)], path)
    [cine] = read_cines([("a", dataset)], SOURCE)
    assert cine.pixels.shape == (240, 320, 30)


@pytest.mark.parametrize(
    ("number", "trigger", "time"),
    [
        (True, False, False),
        (False, True, False),
        (False, False, True),
        (True, 0.0, True),  # A trigger time that is the same for all.
    ],
)
def test_frames_are_ordered_by_what_there_is(heart, number, trigger, time):
    written = []
    for place, pixels in enumerate(heart[:20]):
        tags = {"AcquisitionTime": f"1015{place:02}.{place * 1000:06}"} if time else {}
        when = trigger if isinstance(trigger, float) else 30.0 * place if trigger else None
        written.append(frame(pixels, place + 1 if number else None, when, **tags))
    [cine] = read(written[::-1])
    np.testing.assert_array_equal(cine.pixels, np.moveaxis(heart[:20], 0, -1))


def test_trigger_time_goes_before_the_number(heart):
    written = [
        frame(pixels, number=20 - place, trigger=30.0 * place)
        for place, pixels in enumerate(heart[:20])
    ]
    [cine] = read(written)
    np.testing.assert_array_equal(cine.pixels, np.moveaxis(heart[:20], 0, -1))


def test_frames_without_any_order_are_refused(heart):
    with pytest.raises(InputError, match="frames without an order"):
        read([frame(pixels) for pixels in heart[:3]])


@pytest.mark.parametrize("lost", [1, 17, 48])
def test_a_frame_that_is_missing_between_others_is_refused(heart, lost):
    kept = [place for place in range(FRAMES) if place != lost]
    with pytest.raises(
        InputError, match=rf"missing frames: 49 frames, numbered 1 to 50 without {lost + 1}$"
    ):
        read([frame(heart[place], place + 1, 18.5 * place) for place in kept])
    with pytest.raises(InputError, match="missing frames: 1 gaps between trigger times"):
        read([frame(heart[place], None, 18.5 * place) for place in kept])


@pytest.mark.parametrize("lost", [0, 49])
def test_a_first_or_last_frame_that_is_missing_is_seen_by_the_count(heart, files, lost):
    kept = files[:lost] + files[lost + 1 :]
    with pytest.raises(InputError, match="missing frames: 49 frames of 50"):
        read(kept)


def test_the_last_frame_left_of_a_cine_is_no_scout(files):
    with pytest.raises(InputError, match="missing frames: 1 frames of 50"):
        read(files[:1])


def test_numbers_that_start_late_are_flagged_unless_the_count_is_right(heart):
    numbered = [(pixels, place + 2) for place, pixels in enumerate(heart[:9])]
    [cine] = read([frame(pixels, number) for pixels, number in numbered])
    assert cine.flags == ("frame numbers start late: at 2",)
    [cine] = read([frame(pixels, number, CardiacNumberOfImages=9) for pixels, number in numbered])
    assert cine.flags == ()


def test_a_frame_given_twice_is_refused(heart, files):
    with pytest.raises(InputError, match="duplicated frames: number 8$"):
        read([*files, files[7]])
    again = frame(heart[7], 51, 18.5 * 7, CardiacNumberOfImages=51)
    others = [
        frame(pixels, place + 1, 18.5 * place, CardiacNumberOfImages=51)
        for place, pixels in enumerate(heart)
    ]
    with pytest.raises(InputError, match="duplicated frames: two have the same trigger time"):
        read([*others, again])


def test_every_file_has_its_own_slope(heart):
    slopes = np.linspace(0.5, 2, 9)
    written = [
        frame(pixels, place + 1, RescaleSlope=f"{slopes[place]:g}", RescaleIntercept=-3)
        for place, pixels in enumerate(heart[:9])
    ]
    [cine] = read(written)
    expected = np.moveaxis(heart[:9], 0, -1) * [float(f"{slope:g}") for slope in slopes] - 3
    np.testing.assert_allclose(cine.pixels, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"PixelSpacing": [1.9, 1.9]}, "2 different pixel spacings"),
        ({"ImagePositionPatient": [0, 0, 8]}, "several slices, where one was expected"),
    ],
)
def test_frames_that_do_not_belong_together_are_refused(heart, other, found):
    tags = {"ImagePositionPatient": [0, 0, 0]}
    written = [frame(heart[0], 1, **tags), frame(heart[1], 2, **{**tags, **other})]
    with pytest.raises(InputError, match=f"frames that do not belong together: {found}"):
        read(written)


def test_frames_of_several_sizes_or_kinds_of_file_are_refused(heart):
    with pytest.raises(InputError, match="2 different sizes"):
        read([frame(heart[0], 1), frame(heart[1][:4], 2)])
    with pytest.raises(InputError, match="2 files, some of several frames"):
        read([frame(heart[:2], 1), frame(heart[2], 2)])


def test_a_study_gives_its_cines_by_name_and_leaves_scouts_out(heart, files):
    two_chamber = [
        frame(pixels, place + 1, description="CINE segmented LAX, 2Ch")
        for place, pixels in enumerate(heart[:12])
    ]
    scout = frame(heart[0], 1, description="scout")
    cines = read([*two_chamber, scout, *files])
    assert [cine.series for cine in cines] == ["cine_segmented_lax_2ch", "cine_segmented_lax_4ch"]
    assert [cine.pixels.shape[-1] for cine in cines] == [12, FRAMES]
    with pytest.raises(InputError, match="no cine"):
        read([scout])


def test_only_the_series_asked_for_need_be_whole(heart, files):
    damaged = [frame(heart[place], place + 1, description="LAX_2Ch") for place in (0, 2)]
    [cine] = read([*damaged, *files], series=["cine_segmented_lax_4ch"])
    assert cine.pixels.shape[-1] == FRAMES
    with pytest.raises(InputError, match="series lax_2ch: missing frames"):
        read([*damaged, *files])
    with pytest.raises(InputError, match="no such series: there are cine_segmented_lax_4ch, lax_2"):
        read([*damaged, *files], series=["cine_segmented_lax_3ch"])


def acquisition(heart, number, places):
    tags = {"SeriesNumber": number, "SeriesInstanceUID": f"1.2.{number}"}
    return [frame(heart[place] // number, place + 1, **tags) for place in places]


@pytest.mark.parametrize(("last", "kept"), [((0, 1, 2), 2), ((0, 2), 1)])
def test_of_repeated_acquisitions_the_last_whole_one_is_kept(heart, last, kept):
    [cine] = read([*acquisition(heart, 2, last), *acquisition(heart, 1, (0, 1, 2))])
    np.testing.assert_array_equal(cine.pixels, np.moveaxis(heart[:3] // kept, 0, -1))
    assert cine.flags == ("other acquisitions of the series left out: 1",)


def test_repeated_acquisitions_of_which_none_is_whole_are_refused(heart):
    with pytest.raises(InputError, match="missing frames: 3 frames, numbered 1 to 4 without 3"):
        read([*acquisition(heart, 1, (0, 2)), *acquisition(heart, 2, (0, 1, 3))])


def test_a_zip_as_delivered_is_read(tmp_path, heart, files):
    path = tmp_path / SOURCE
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.csv", "filename,patientid,date\n")
        for place, content in enumerate(files):
            file.writestr(f"1.3.12.2.1107.5.2.18.41754.2015{FRAMES - place:04}.dcm", content)
    [cine] = dicom_image.read_files(archive.read_members(path), path)
    np.testing.assert_array_equal(cine.pixels, np.moveaxis(heart, 0, -1))
    assert (cine.sample_id, cine.visit) == ("1234567", 2)


def test_nothing_personal_comes_out(heart):
    personal = {
        "PatientName": "Lovelace^Ada",
        "PatientID": "NHS9434765919",
        "StudyDate": "20150928",
        "AcquisitionTime": "101532.250000",
        "DeviceSerialNumber": "SN-77310X",
        "SeriesInstanceUID": "1.3.12.2.1107.5.2.18.41754",
    }
    [cine] = read([frame(pixels, place, **personal) for place, pixels in enumerate(heart[:4])])
    said = [repr(cine)]
    for places in ((0, 1, 1), (0, 2), (0,)):
        with pytest.raises(InputError) as caught:
            read([frame(heart[place], place, **personal) for place in places])
        said.append(str(caught.value))
    for value in personal.values():
        assert not [one for one in said if value in one]


@pytest.mark.parametrize(
    "tags", [{"Rows": 0, "NumberOfFrames": 2**31 - 1}, {"NumberOfFrames": 2**20}]
)
def test_a_hostile_number_of_frames_costs_no_memory(heart, tags):
    tracemalloc.start()
    with pytest.raises(InputError, match="image too large"):
        read([frame(heart[0], 1, **tags)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_numbers_far_apart_cost_no_memory(heart):
    tracemalloc.start()
    with pytest.raises(InputError, match="numbered 1 to 2000000000 without 2, 3, 4, …"):
        read([frame(heart[0], 1), frame(heart[1], 2_000_000_000)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
def test_a_trigger_time_that_is_no_number_orders_nothing(heart):
    triggers = [40.0, "nan", 0.0, 60.0]
    [cine] = read([frame(heart[k], k + 1, trigger) for k, trigger in enumerate(triggers)])
    np.testing.assert_array_equal(cine.pixels, np.moveaxis(heart[:4], 0, -1))


def test_text_burned_into_any_frame_is_flagged(heart):
    one = frame(heart[0], 1), frame(heart[1], 2, BurnedInAnnotation="YES")
    assert read(one)[0].flags == ("text burned into the picture",)


def test_a_date_in_a_description_is_not_said(heart):
    files = [frame(heart[k], k + 1, description="LAX 19870317 1234567") for k in (0, 2)]
    for series in (None, ["other"]):
        with pytest.raises(InputError, match="lax_…_…") as caught:
            read(files, series)
        assert "1987" not in str(caught.value)
