"""Analysis files: complete, and unchanged since their record."""

from pathlib import Path

import pytest
import yaml

from lasoftmoe.records.plans import (
    PlanError,
    plan_fields,
    read_deviations,
    read_plan,
    require_plan,
)
from lasoftmoe.records.recorded import read_recorded, recorded_names

STUDIES = Path(__file__).parents[3] / "studies"
PLAN = {
    "question": "Does it help?",
    "decided": "2026-11-27",
    "run": ["lasoftmoe run table6"],
    "seeds": "0 to 4",
    "compare": [{"first": "a", "second": "b", "statistic": "ACER", "interval": "people, seeds"}],
    "conclude": [{"outcome": "open", "verdict": "not shown"}],
    "not_shown": ["anything about people"],
}


def write(folder: Path, **changes) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(PLAN | changes))
    return path


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_analysis_file_is_complete(path):
    assert read_plan(path).question.endswith("?")


def test_every_record_made_under_a_plan_still_has_it():
    for name in recorded_names():
        fields = read_recorded(name).facts.get("plan")
        if fields:
            require_plan(fields, STUDIES)


def test_a_plan_changed_after_its_record_is_noticed(tmp_path):
    fields = plan_fields(write(tmp_path))["plan"]
    assert fields["file"] == "mine.yaml"
    require_plan(fields, tmp_path)
    write(tmp_path, seeds="0 to 9")
    with pytest.raises(PlanError, match="not the file that the record was made under"):
        require_plan(fields, tmp_path)


def test_a_deviation_is_listed_beside_the_plan_and_leaves_its_hash(tmp_path):
    fields = plan_fields(write(tmp_path))["plan"]
    assert read_deviations("mine", tmp_path) == []
    (tmp_path / "deviations").mkdir()
    listed = [{"date": "2026-12-01", "change": "four seeds", "reason": "time"}]
    path = tmp_path / "deviations" / "mine.yaml"
    path.write_text(yaml.safe_dump(listed))
    assert read_deviations("mine", tmp_path)[0].change == "four seeds"
    require_plan(fields, tmp_path)
    path.write_text(yaml.safe_dump([{"date": "2026-12-01", "change": "four seeds"}]))
    with pytest.raises(PlanError, match=r"0.reason is missing"):
        read_deviations("mine", tmp_path)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("deviations/*.yaml")), ids=lambda p: p.stem)
def test_every_list_of_deviations_belongs_to_a_plan(path):
    assert read_deviations(path.stem, STUDIES)
    assert (STUDIES / path.name).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": []}, "run is empty"),
        ({"conclude": []}, "conclude is empty"),
        ({"decided": "soon"}, "decided is 'soon'"),
        ({"hope": "yes"}, "hope is"),
        ({"compare": [{"first": "a"}]}, "compare.0.second is missing"),
    ],
)
def test_what_is_missing_is_named_with_its_file(tmp_path, changes, message):
    with pytest.raises(PlanError, match=f"mine.yaml: {message}"):
        read_plan(write(tmp_path, **changes))


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(PlanError, match=r"gone.yaml cannot be read"):
        read_plan(tmp_path / "gone.yaml")
    (tmp_path / "list.yaml").write_text("[1]")
    with pytest.raises(PlanError, match=r"list.yaml: .* is \[1\]"):
        read_plan(tmp_path / "list.yaml")
