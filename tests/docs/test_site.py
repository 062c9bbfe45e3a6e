"""The documentation as a site: whole, no link broken, nothing fetched from elsewhere."""

import os
import re
import subprocess
import sys

import pytest

from tests.docs.commands import PAGES, ROOT

# What a browser fetches by itself, as against links that a reader may follow.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|link)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\s\">]+)"
)
IN_STYLES = re.compile(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    # Strict: a broken link or anchor, or a page that the navigation leaves out, is an error.
    assert result.returncode == 0, result.stderr
    return folder


def test_every_page_is_built_and_in_the_navigation(site):
    home = (site / "index.html").read_text()
    for page in PAGES:
        if page.parent.name == "docs":
            name = f"{page.stem}.html"
            assert (site / name).is_file(), name
            assert f'href="{name}"' in home or name == "index.html", name


def test_nothing_is_fetched_from_elsewhere(site):
    for path in site.rglob("*.html"):
        assert not FETCHED.findall(path.read_text()), path.name
        # The theme would fetch the program that draws such a diagram.
        assert 'class="mermaid"' not in path.read_text(), path.name
    styles = list(site.rglob("*.css"))
    assert styles
    for path in styles:
        assert not IN_STYLES.findall(path.read_text()), path.name


def test_no_list_or_table_is_shown_as_one_paragraph(site):
    """Markdown wants an empty line before one, and four spaces for what goes on within."""
    paragraph, item = re.compile(r"<p>(.*?)</p>", re.DOTALL), re.compile(r"\n\s*([-*|]|\d+\.) ")
    for path in site.rglob("*.html"):
        for text in paragraph.findall(path.read_text()):
            assert not item.search(text), f"{path.name}: {text}"


def test_what_is_fetched_from_elsewhere_would_be_found():
    assert FETCHED.findall('<script defer src="https://cdn.example/x.js"></script>')
    assert FETCHED.findall('<link rel="stylesheet" href=//fonts.example/css>')
    assert not FETCHED.findall('<a href="https://example.org">elsewhere</a>')
    assert IN_STYLES.findall('@import "https://fonts.example/css";')


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text())
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert links
    assert not missing
