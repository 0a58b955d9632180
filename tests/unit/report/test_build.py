import pickle
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from lcrp.errors import InputError
from lcrp.report import ReportInputs, build_report
from support.synthetic_experiment import CLASSES, store_of

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """What a page refers to; refuses tags that do not nest."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids, self.images, self.stack, self.text = [], [], [], [], ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.stack == [], path

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.stack.append(tag)
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "img":
            self.images.append(attributes)

    def handle_endtag(self, tag):
        assert self.stack and self.stack.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if not self.stack or self.stack[-1] not in ("script", "style"):
            self.text += f" {data}"


def pages(folder):
    return {path: Page(path) for path in sorted(folder.rglob("*.html"))}


def test_every_link_leads_somewhere_inside_the_report(report):
    for path, page in pages(report).items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme == "data" or not parts.path:
                continue
            assert not parts.scheme and not parts.netloc, (path, link)
            target = (path.parent / unquote(parts.path)).resolve()
            assert target.is_relative_to(report.resolve()) and target.exists(), (path, link)


def test_nothing_is_fetched_from_a_network(report):
    for path in [*report.rglob("*.html"), *(report / "assets").iterdir()]:
        assert not re.search(r"https?://", path.read_text(encoding="utf-8")), path


def test_pages_are_sound(report):
    for path, page in pages(report).items():
        assert len(page.ids) == len(set(page.ids)), path
        for image in page.images:
            assert image.get("alt"), (path, image)
            assert "width" in image or path.name == "swaps.html", (path, image)


def test_every_class_with_targets_has_a_page_of_its_own(report):
    names = {path.name for path in (report / "classes").iterdir()}
    assert names == {
        "boat.html", "car.html", "traffic_light.html", "Boat~90406b7d.html", "v_lo_b_co.html"
    }  # fmt: skip
    assert "vélo <b> & co" in Page(report / "classes" / "v_lo_b_co.html").text
    assert CLASSES[-1] not in Page(report / "classes.html").text


def test_overview_counts_what_was_skipped_and_shows_the_quality(report):
    text = " ".join(Page(report / "index.html").text.split())
    assert "images explained 10 of 12" in text
    assert "unreadable 1 the image file cannot be read" in text
    assert "no-target 1" in text
    assert "scene 2 unreadable images/2.png" in text
    assert "mAP at IoU 0.5 0.912" in text
    assert "analyse shard 2 15.0" in text and "512 MB" in text
    assert "Random numbers & small pictures <of discs>." in text
    assert "boat 98 %" in text and "car 0 %" in text
    assert "0" * 64 in text and "torch 2.9" in text


def test_gallery_says_what_could_not_be_drawn(report):
    text = " ".join(Page(report / "explanations.html").text.split())
    assert "images/2.png: unreadable; fix it" in text
    assert len(list((report / "explanations").glob("*.html"))) == 10
    assert len(list((report / "figures").glob("*/*.png"))) == 10


def test_an_explanation_links_its_concepts_and_its_neighbours(report):
    page = Page(next((report / "explanations").glob("scene_0-*.html")))
    assert any(link.startswith("../concept.html#layer=model.8.cv3.conv&") for link in page.links)
    assert any(link.startswith("../explanations/scene_0-") for link in page.links)
    assert any(link.startswith("../classes/") for link in page.links)


def test_confirmed_effects_stand_beside_the_scores(report):
    text = " ".join(Page(report / "context.html").text.split())
    assert "boat needs car" in text and "effect 55 % (40 % to 70 %), control 3.0 %" in text
    assert "before : 95 %" in text or "before: 95 %" in text
    assert "boat needs traffic light" not in text
    assert "L-CRP" in text and "paper rmse" in text
    assert sorted(p.name for p in (report / "effect").iterdir()) == [
        "boat-car-0-after.png", "boat-car-0-before.png"
    ]  # fmt: skip
    assert "boat needs its background" in text
    about = " ".join(Page(report / "classes" / "boat.html").text.split())
    assert "the background , other-class, image scene 1" in about.replace(
        "background,", "background ,"
    )
    first = " ".join(Page(report / "index.html").text.split())
    assert "What the model needs" in first and "boat needs car" in first
    page = Page(report / "classes" / "boat.html")
    assert any("pair.html#class=boat&thing=car" in link for link in page.links)


def test_only_the_store_is_needed(experiment, tmp_path):
    build_report(tmp_path / "report", ReportInputs(experiment["store"], "Bare"))
    text = " ".join(page.text for page in pages(tmp_path / "report").values())
    assert "Not measured for this report" in text
    assert "No explanation was drawn" in text
    assert not (tmp_path / "report" / "swaps.html").exists()
    test_every_link_leads_somewhere_inside_the_report(tmp_path / "report")
    test_pages_are_sound(tmp_path / "report")


def test_a_store_without_any_target(tmp_path):
    store = store_of(tmp_path, images=3, per_image=0)
    build_report(tmp_path / "report", ReportInputs(store, "Nothing", layer="model.8.cv3.conv"))
    text = " ".join(Page(tmp_path / "report" / "classes.html").text.split())
    assert "No class had a target" in text
    test_every_link_leads_somewhere_inside_the_report(tmp_path / "report")


def test_same_input_same_report(experiment, report, tmp_path):
    build_report(tmp_path / "report", ReportInputs.read(**experiment))
    files = sorted(p.relative_to(report) for p in report.rglob("*") if p.is_file())
    again = tmp_path / "report"
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    for file in files:
        assert (report / file).read_bytes() == (again / file).read_bytes(), file


def test_a_report_is_replaced_whole_or_not_at_all(experiment, tmp_path):
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "index.html").write_text("old")
    (folder / "stale.html").write_text("old")
    with pytest.raises(InputError, match=r"gone\.csv: does not exist; build the pairs table"):
        build_report(
            folder, ReportInputs.read(**experiment | {"tables": {"pairs": tmp_path / "gone.csv"}})
        )
    assert (folder / "index.html").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    build_report(folder, ReportInputs.read(**experiment))
    assert not (folder / "stale.html").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("quality", "{", "no JSON; measure the quality again"),
        ("quality_classes", "", "cannot be read as a table"),
        ("swaps", "", "cannot be read as a table"),
    ],
)
def test_broken_input_is_named(experiment, tmp_path, name, content, message):
    (tmp_path / "broken").write_text(content)
    with pytest.raises(InputError, match=f"broken: {message}"):
        build_report(
            tmp_path / "report", ReportInputs.read(**experiment | {name: tmp_path / "broken"})
        )


def test_broken_atlas_is_named(experiment, tmp_path):
    with pytest.raises(InputError, match="holds no atlas of concepts; draw it again"):
        build_report(tmp_path / "report", ReportInputs.read(**experiment | {"atlas": tmp_path}))


def test_benchmark_files_must_exist(experiment, tmp_path):
    with pytest.raises(InputError, match="no benchmark file"):
        ReportInputs.read(**experiment | {"benchmarks": {"train": [tmp_path / "none.tsv"]}})


def test_a_report_is_built_without_loading_torch(experiment, tmp_path):
    program = (
        "import pickle, sys; from lcrp.report import ReportInputs, build_report;"
        "build_report(sys.argv[2], ReportInputs.read(**pickle.load(open(sys.argv[1], 'rb'))));"
        "print('torch' in sys.modules)"
    )
    (tmp_path / "inputs.pickle").write_bytes(pickle.dumps(experiment))
    arguments = [str(tmp_path / "inputs.pickle"), str(tmp_path / "report")]
    said = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert said.stdout.strip() == "False", said.stderr
