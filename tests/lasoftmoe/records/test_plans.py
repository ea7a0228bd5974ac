"""Analysis files: complete, and unchanged since their record."""

import json
import shlex
from datetime import date
from pathlib import Path

import pytest
import yaml

from lasoftmoe.cli.parser import make_parser
from lasoftmoe.experiment.config import known_tables
from lasoftmoe.records.plans import (
    PlanError,
    plan_fields,
    read_deviations,
    read_plan,
    require_plan,
)
from lasoftmoe.records.recorded import FOLDER, read_recorded, recorded_names

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


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_command_that_fills_a_table_can_be_run(path):
    for words in map(shlex.split, read_plan(path).run):
        if words[:2] == ["lasoftmoe", "run"]:
            assert make_parser(words[1:]).parse_args(words[1:]).run.name in known_tables()
            assert words[2] == path.stem


def require_plans(records: Path, studies: Path) -> None:
    """Each record that has an analysis file was made under it, or before it, as the file says."""
    for name in recorded_names(records):
        record = read_recorded(name, records)
        fields, path = record.facts.get("plan"), studies / f"{name}.yaml"
        if fields:
            require_plan(fields, studies)
        elif path.exists():
            plan, made = read_plan(path), date.fromisoformat(record.origin.date[:10])
            if made >= plan.decided:
                raise PlanError(f"{name} was made on {made} and has no field plan; see {path}")
            if made != plan.replaces:
                raise PlanError(f"{path}: replaces is not {made}, the day of an older record")


def test_every_record_with_a_plan_was_made_under_it_or_before_it():
    require_plans(FOLDER, STUDIES)


@pytest.mark.parametrize(
    ("day", "planned", "changes", "message"),
    [
        ("2026-11-28", True, {}, None),
        ("2026-11-28", False, {}, "mine was made on 2026-11-28 and has no field plan"),
        ("2026-11-27", False, {}, "mine was made on 2026-11-27 and has no field plan"),
        ("2026-11-22", False, {}, "replaces is not 2026-11-22"),
        ("2026-11-22", False, {"replaces": "2026-11-22"}, None),
        ("2026-11-28", True, {"seeds": "0 to 9"}, "not the file that the record was made under"),
    ],
)
def test_a_planted_record_that_does_not_fit_its_plan_is_found(
    tmp_path, day, planned, changes, message
):
    studies, records = tmp_path / "studies", tmp_path / "records"
    studies.mkdir()
    records.mkdir()
    fields = plan_fields(write(studies)) if planned else {}
    write(studies, **changes)
    made = json.loads((FOLDER / "benchmark_moe_cpu.json").read_text("utf-8"))
    made |= {"date": f"{day}T10:00:00+00:00", **fields}
    (records / "mine.json").write_text(json.dumps(made))
    if message is None:
        require_plans(records, studies)
    else:
        with pytest.raises(PlanError, match=message):
            require_plans(records, studies)


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
