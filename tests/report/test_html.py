"""The page: whole, self-contained, and without anything that points at a person."""

import base64
import gzip
import hashlib
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import matplotlib.image
import pandas as pd
import pytest
from PIL import Image

from regreveal.cli.report import report
from regreveal.errors import InputError
from regreveal.report.chapters.contents import make_contents
from regreveal.report.chapters.methods import methods_section
from regreveal.report.folder.run import read_run
from regreveal.report.html import _link, build_report
from tests.comparison.latex_parser import Tex

from .run_folder import EXPERIMENT, GENETICS, TARGETS, make_run_folder, sample_ids

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks nesting; collects links, sources, anchors, images and text."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.links, self.sources, self.anchors = [], [], [], []
        self.text, self.code = "", ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.links += [attributes[name] for name in ("href", "action") if name in attributes]
        self.sources += [attributes["src"]] if "src" in attributes else []
        self.anchors += [attributes["id"]] if "id" in attributes else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text += data
        if "code" in self.open:
            self.code += data


def test_a_full_run_has_every_chapter(full_page):
    page = Page(full_page)
    chapters = (
        "summary recordings table-2 alignment alignment-phenotypes alignment-genome "
        "alignment-diseases alignment-clusters models autoencoders left-out methods reproduce"
    )
    places = [page.anchors.index(chapter) for chapter in chapters.split()]
    assert places == sorted(places)


def test_a_run_with_probes_only_has_no_chapter_on_the_rest(probes_page):
    anchors = Page(probes_page).anchors
    assert "alignment-phenotypes" in anchors
    assert not {"alignment-genome", "alignment-diseases", "alignment-clusters"} & set(anchors)


def test_a_run_of_several_modalities_has_the_chapters_of_each_comparison(images_page):
    page = Page(images_page)
    for comparison in ("alignment", "dxa", "brain", "cardiac"):
        assert f"{comparison}-phenotypes" in page.anchors
    text = " ".join(page.text.split())
    assert "The answer at a glance." in text
    assert "dxa_native → dxa_homography" in text
    assert (
        "registered (QRSAlignment, from ecg.rest_10s), dxa_homography (Homography, from dxa.body), "
        "brain_mni (Affine, from brain.t1_mni_6mm), cardiac_voxelmorph (VoxelMorph, from "
    ) in text
    for group in ("DXA", "Brain MRI", "Cardiac MRI: cardiac_native and cardiac_voxelmorph"):
        assert f"{group}: three participants over one another" in text
        assert f"Images and their reconstructions, {group}." in text
    assert "person-" not in images_page


def test_a_fusion_has_a_chapter_and_is_not_taken_for_an_autoencoder(images_page):
    page = Page(images_page)
    text = " ".join(page.text.split())
    assert page.anchors.index("fusions") > page.anchors.index("autoencoders")
    assert "QRSAlignment, then DropFuse (heart)" in text
    assert "starting from the networks of registered, whose own steps come on top" in text
    assert re.search(r"ecg_fused → cine_fused *250 *42\.0 \(0\.4\) *88\.0 \(4\.0\)", text)
    assert "warm start from registered" in text
    # The loss figure and its caption are of autoencoders alone.
    caption = text[text.index("Mean squared error as share") :].split("Training loss")[0]
    assert "native" in caption
    assert "fused" not in caption


def test_phases_have_a_chapter_with_their_loop_and_the_control_has_its_losses(images_page):
    page = Page(images_page)
    text = " ".join(page.text.split())
    assert page.anchors.index("cycle") < page.anchors.index("fusions")
    assert "The loop that phase has learned." in text
    assert "The latents of 150 analysis participants" in text
    assert "The loop that number has learned." not in text
    assert "Arms: number, circular false; phase, default settings." in text
    assert "15 by DeepCycle (number)" in text
    explained = text[text.index("Of the variance of its arm") :].split(". ")[0]
    assert "ecg_fused" in explained
    assert "phase" not in explained


def test_latent_spaces_of_different_sizes_are_said_to_be(full_run, full_page):
    run = read_run(full_run)
    smaller = replace(
        run.arms["registered"], model=run.arms["registered"].model | {"latent_size": 12}
    )
    groups = {
        c.anchor: c for c in make_contents(replace(run, arms=run.arms | {"registered": smaller}))
    }
    told = "of different sizes: 16 in native and 12 in registered dimensions"
    assert told in groups["alignment"].findings[0]
    assert "of different sizes" not in Page(full_page).text


def test_an_arm_that_goes_on_from_another_names_both_registrations(probes_run):
    run = read_run(probes_run)
    arms = dict(run.arms)
    first = arms["registered"].description
    description = first | {"registration": "VoxelMorph", "after": "registered"}
    arms["further"] = replace(arms["registered"], name="further", description=description)
    arms["part"] = replace(
        arms["further"], name="part", description=description | {"registration": None}
    )
    chained = replace(run, arms=arms)
    assert chained.made_by("native") == "none"
    assert chained.made_by("registered") == chained.made_by("part") == "QRSAlignment"
    assert chained.made_by("further") == "QRSAlignment, then VoxelMorph"


def test_links_lead_to_places_of_the_page_or_files_of_the_run(full_run, full_page):
    page = Page(full_page)
    within = [link[1:] for link in page.links if link.startswith("#")]
    assert within
    assert set(within) <= set(page.anchors)
    files = [unquote(link) for link in page.links if not link.startswith("#")]
    assert all((full_run / file).is_file() for file in files)
    linked = {file.rsplit("/", 1)[-1] for file in files}
    assert {"probes.tsv", "loci.tsv", "phewas.tsv", "clusters.tsv", "table2.tsv"} <= linked
    assert {"alignment-miami.png", "alignment-miami.pdf"} <= linked


def test_the_page_asks_for_nothing_and_runs_its_own_script_only(full_page):
    page = Page(full_page)
    assert all(source.startswith("data:image/webp;base64,") for source in page.sources)
    assert not re.search(r"https?://|@import|url\(|<link|<iframe| on\w+=", full_page)
    (script,) = re.findall(r"<script>(.*?)</script>", full_page, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', full_page)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; ")
    assert f"script-src 'sha256-{allowed}';" in policy


def test_images_are_the_figures_beside_the_page_and_each_has_its_pdf(full_run, full_page):
    embedded = [base64.b64decode(s.split(",", 1)[1]) for s in Page(full_page).sources]
    files = sorted((full_run / "figures").glob("*.png"))
    assert len(files) == len(embedded) >= 9
    sizes = {Image.open(io.BytesIO(picture)).size for picture in embedded}
    # Of photographs the page has fewer pixels than the file.
    for width, height in {Image.open(file).size for file in files}:
        smaller = round(0.8125 * width), round(0.8125 * height)
        assert sizes & {(width, height), smaller}
    for file in files:
        assert matplotlib.image.imread(file).std() > 0.01
        assert file.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_every_table_is_beside_the_page_as_text_and_as_latex_that_compiles(full_run, full_page):
    titles = re.findall(r"Table (\d+)\. ", Page(full_page).text)
    files = sorted((full_run / "tables").iterdir())
    assert len(files) == 2 * len(titles)
    for number, (latex, text) in enumerate(zip(files[::2], files[1::2], strict=True), start=1):
        assert latex.name.startswith(f"table-{number:02d}-")
        tables = Tex(latex.read_text()).tables
        assert text.suffix == ".tsv"
        rows = [line.split("\t") for line in text.read_text().splitlines()]
        assert sum(len(table["rows"]) - 1 for table in tables) == len(rows) - 1
        assert {len(row) for row in rows} == {len(tables[0]["layout"])}
        assert f'href="tables/{text.name}"' in full_page
        for file in (latex, text):
            assert "person-" not in file.read_text()


def test_figures_and_tables_are_numbered_through(full_page):
    text = Page(full_page).text
    for kind in ("Figure", "Table"):
        numbers = re.findall(rf"{kind} (\d+)\. ", text)
        assert len(numbers) >= 9
        assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))


def test_the_mean_over_phenotypes_is_told_with_its_interval(full_page):
    text = " ".join(Page(full_page).text.split())
    numbers = [scores for metric, *scores in TARGETS.values() if metric == "r2"]
    native, registered = (sum(arm) / len(numbers) for arm in zip(*numbers, strict=True))
    assert f"{registered:.3f} in registered and {native:.3f} in native" in text
    assert f"over {len(numbers)} phenotypes" in text


def test_no_participant_is_on_the_page(full_page, probes_page):
    for page in (full_page, probes_page):
        assert not [sample_id for sample_id in sample_ids() if sample_id in page]
        assert "person-" not in page


def test_counts_under_five_are_hidden(full_page):
    rows = re.findall(r"<tr.*?>(.*?)</tr>", full_page, re.DOTALL)
    for what in ("fewer than three beats", "sinus rhythm", "Condition 1 2"):
        assert next(row for row in rows if what in row).count("&lt;5") == 1


def test_few_people_are_counted_in_no_table_beside_the_page(full_run, full_page):
    counts = []
    for path in (full_run / "tables").glob("*.tsv"):
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        for column in {"n", "Cases", "Controls", "Participants", "Count", "Beyond"} & set(table):
            counts += table[column].tolist()
    assert len(counts) > 20
    assert "<5" in counts
    assert not {"1", "2", "3", "4"} & set(counts)


def test_no_date_or_time_is_on_the_page(full_page):
    without_images = re.sub(r"base64,[^\"]*", "", full_page)
    assert not re.search(r"\b(19|20)\d\d-\d\d|\d\d:\d\d:\d\d", without_images)


def test_the_experiment_is_printed_with_the_command_that_repeats_it(full_page):
    code = Page(full_page).code
    assert (EXPERIMENT + GENETICS).strip() in code
    assert "regreveal run experiment.toml --out RUN" in code
    assert "0.1.0" in full_page
    assert "seed 7" in full_page


def test_a_page_changes_with_its_run_only_and_users_words_are_text(
    probes_run, probes_page, tmp_path
):
    run = shutil.copytree(
        probes_run, tmp_path / "run", ignore=shutil.ignore_patterns("report.html")
    )
    (run / "figures" / "old.png").write_bytes(b"")
    file = run / "experiment.toml"
    file.write_text(file.read_text().replace("Does aligning", "<script>1</script> & aligning"))
    page = build_report(run).read_text()
    assert page == probes_page.replace(
        "Does aligning", "&lt;script&gt;1&lt;/script&gt; &amp; aligning"
    )
    assert not (run / "figures" / "old.png").exists()


def _files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


DAMAGE = {
    "manifest.json": b"{",
    "settings.json": b"{}",
    "splits.parquet": b"PAR1",
    "dropped.tsv": b"stage\tarm\n",
    "experiment.toml": b"title = \n",
    "arms/native/examples.npz": b"PK\x03\x04 not a zip",
    "arms/native/arm.json": b"{}",
    "arms/registered/model/model.json": b'{"latent_size": 16}',
    "arms/registered/model/history.csv": b"epoch,steps\n1,100\n",
    "comparisons/alignment/probes.tsv": b"",
    "comparisons/alignment/native/gwas/manova.tsv.gz": b"\x1f\x8b\x08\x00 cut",
    "comparisons/alignment/native/gwas/loci.tsv": b"locus\n1\n",
    "comparisons/alignment/registered/phewas/phewas.tsv": b"phecode\tname\n1\tx\n",
    "comparisons/alignment/registered/clusters/cosines.tsv": b"variant_id\nrs1\n",
}


@pytest.mark.parametrize("damage", ["missing", "damaged"])
@pytest.mark.parametrize("name", DAMAGE)
def test_a_missing_or_damaged_file_is_one_line_and_leaves_the_folder_as_it_was(
    copy_of_run, name, damage
):
    if damage == "missing":
        (copy_of_run / name).unlink()
    else:
        (copy_of_run / name).write_bytes(DAMAGE[name])
    before = _files(copy_of_run)
    with pytest.raises(InputError) as error:
        build_report(copy_of_run)
    assert "\n" not in str(error.value)
    assert name.split("/")[-1] in str(error.value)
    assert _files(copy_of_run) == before


def test_a_truncated_table_of_variants_is_an_error(copy_of_run):
    file = copy_of_run / "comparisons/alignment/registered/gwas/manova.tsv.gz"
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"manova\.tsv\.gz: cannot be read"):
        build_report(copy_of_run)


def test_a_run_that_has_not_finished_is_an_error(copy_of_run):
    manifest = copy_of_run / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"seconds": 1.0, "finished": true', '"finished": false', 1)
    )
    with pytest.raises(InputError, match=r"stage 'data' has not finished"):
        build_report(copy_of_run)
    assert not (copy_of_run / "report.html").exists()


def test_a_run_whose_names_lead_out_of_it_is_an_error(copy_of_run):
    file = copy_of_run / "experiment.toml"
    text = file.read_text()
    for name in ("comparisons.alignment", "arms.native"):
        kind, old = name.split(".")
        file.write_text(text.replace(f"[{name}]", f"[{kind}.'../../{old}']"))
        with pytest.raises(InputError, match=rf"{kind} '\.\./\.\./{old}': expected letters"):
            build_report(copy_of_run)


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"no experiment\.toml"):
        build_report(tmp_path)


def test_the_command_says_where_the_report_is(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("regreveal.report.html.build_report", lambda run: run / "report.html")
    report(tmp_path)
    assert capsys.readouterr().out.strip().endswith(f"{tmp_path / 'report.html'}")


def test_an_arm_without_clusters_is_told(full_page):
    assert "The native arm has 1 locus; clusters need at least two." in full_page


def test_a_figure_that_cannot_be_drawn_leaves_no_report(tmp_path):
    run = make_run_folder(tmp_path / "run")
    for arm in ("native", "registered"):
        with gzip.open(run / f"comparisons/alignment/{arm}/gwas/manova.tsv.gz", "wt") as stream:
            stream.write("chromosome\tposition\tneg_log10_p_corrected\n1\t5\tNA\n")
    with pytest.raises(InputError, match="no variant has a p-value"):
        build_report(run)
    assert not (run / "report.html").exists()
    assert not (run / "figures").exists()
    assert not list(run.glob(".figures-*"))


def test_a_link_leads_to_a_file_whatever_its_name(tmp_path):
    link = _link('comparisons/a&b/native/odd "name" #1?.tsv')
    assert link["href"] == "comparisons/a%26b/native/odd%20%22name%22%20%231%3F.tsv"
    assert link["name"] == 'native/odd "name" #1?.tsv'
    assert _link("figures/a-qq.pdf")["name"] == "PDF"


def test_the_methods_are_of_this_run_with_their_sources_ready_to_be_copied(full_run, full_page):
    text = " ".join(Page(full_page).text.split())
    methods = text[text.index("Software.") : text.index("How to reproduce and cite this", 3000)]
    for told in (
        "RegReveal 0.1.0",
        "from the seed 7",
        "registered (QRSAlignment, from ecg.rest_10s)",
        "16 latents, 2,000 steps of 32 at a step size of 0.005",
        "the dosage of the alternate allele, by Pillai's trace (Pillai 1955)",
        "after regression on age and sex;",
        "fewer than 5 carriers",
        "3,999 variants were tested",
        "of fewer than 20 cases or controls",
        "100 Bayesian bootstrap samples",
    ):
        assert told in methods
    for author, year in re.findall(
        r"\(?([A-Z][a-z]+)(?: (?:et al\.|and [A-Z][a-z]+))? \(?(\d{4})\)", methods
    ):
        assert re.search(
            rf"{author} [A-Z]+[,.][^.].*{year}", methods[methods.index("References") :]
        )
    assert "Firth D. Bias" in methods
    assert "DropFuse." not in methods


def test_settings_that_the_file_leaves_out_are_told_from_what_the_run_recorded(copy_of_run):
    file = copy_of_run / "settings.json"
    settings = json.loads(file.read_text())
    settings["phewas"] |= {"minimum_cases": 33, "minimum_count": 2}
    settings["phewas"] |= {"icd10_edition": "who", "until": "2023-03-31"}
    settings["probes"]["adjust"] = ["age", "bmi"]
    file.write_text(json.dumps(settings))
    section = methods_section(read_run(copy_of_run))
    text = " ".join(part.text for part in section.parts)
    assert "of fewer than 33 cases" in text
    assert "codes on at least 2 days" in text
    assert "ICD-10 are those of the World Health Organization" in text
    assert "Records end on 2023-03-31." in text
    assert "measured over age and BMI" in text
