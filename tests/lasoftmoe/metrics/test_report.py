"""A report's forms say the same, and all name the source of the threshold."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from lasoftmoe import metrics
from lasoftmoe.metrics.report import HEADLINE, PERCENT, Report, reports_to_latex

TYPES = ["live", "cw", "pgd"]


@pytest.fixture
def report() -> Report:
    return metrics.evaluate([0.0, 1.0, 2.0], [False, True, True], 1.5, TYPES, "dev EER")


def test_json_holds_everything(report):
    assert Report(**json.loads(report.to_json())) == report
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


def test_a_row_is_in_percent_and_names_the_source(report):
    row = report.to_frame("mine").loc["mine"]
    assert row["ACER"] == pytest.approx(25.0)
    assert row["ACER worst type"] == pytest.approx(50.0)
    assert (row["threshold"], row["threshold from"]) == (1.5, "dev EER")


def test_headline_results_are_attributes_of_a_report(report):
    row = report.to_frame().iloc[0]
    assert tuple(row.index[: len(HEADLINE)]) == HEADLINE == PERCENT[:4]
    assert [row[name] for name in HEADLINE] == [100 * getattr(report, n.lower()) for n in HEADLINE]


def test_text_has_both_readings_of_acer(report):
    text = str(report)
    assert text == report.to_text()
    assert "ACER   25.00%" in text and "ACER   50.00%   of the worst type" in text
    assert "of cw" in text and "threshold 1.5 from dev EER" in text


def test_without_types_there_is_no_worst_one():
    report = metrics.evaluate([0.0, 1.0], [False, True])
    assert report.apcer_worst is None and report.worst_type is None
    assert report.threshold_source == "own EER" and "own EER" in report.to_text()
    assert "worst" not in report.to_text()
    assert math.isnan(report.to_frame().iloc[0]["ACER worst type"])
    assert "--" in report.to_latex()


def test_the_worst_type_is_the_first_by_name_among_equals(report):
    assert report.worst_type == "cw"
    assert replace(report, apcer_per_type={"b": 0.5, "a": 0.5, "c": 0.1}).worst_type == "a"


def test_latex_is_escaped_and_has_rules_and_sources(report):
    text = reports_to_latex({"CLIP & a_b": report, "50% $": report}, r"Two \emph{rows}")
    assert r"CLIP \& a\_b" in text and r"50\% \$" in text and r"ACER (\%)" in text
    assert r"\caption{Two \emph{rows}}" in text
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert text.count("dev EER") == 2
    assert " 25.00 " in text
    assert report.to_latex("CLIP") == reports_to_latex({"CLIP": report})


def test_a_report_without_a_source_is_refused(report):
    with pytest.raises(ValueError, match="threshold_source is empty"):
        replace(report, threshold_source=" ")
    with pytest.raises(ValueError, match="threshold_source is empty"):
        metrics.evaluate([0.0, 1.0], [False, True], 0.5, threshold_source="")


def test_a_table_for_print_insists_on_the_origin_of_every_threshold(report):
    unstated = metrics.evaluate([0.0, 1.0], [False, True], 0.5)
    assert "threshold 0.5 given, its source is not stated" in str(unstated)
    assert unstated.to_frame()["threshold from"].item() == "given"
    assert json.loads(unstated.to_json())["threshold_source"] == "given"
    with pytest.raises(ValueError, match="the threshold of 'b' has no stated source"):
        reports_to_latex({"a": report, "b": unstated})
    with pytest.raises(ValueError, match="no reports"):
        reports_to_latex({})
