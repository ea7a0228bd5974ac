"""A comparison shows each result with its source, in every format."""

import pytest

from lasoftmoe.records.comparison import FORMATS, caption, comparison
from lasoftmoe.records.recorded import parse_record
from tests.lasoftmoe.records.conftest import TABLE


def test_ours_and_the_papers_stand_side_by_side_with_their_sources(record):
    recorded = parse_record("table6", record)
    table = comparison(TABLE, {"this machine": recorded})
    assert table["source"].value_counts().to_dict() == {
        "this machine": 4, "reported by the paper, Table 6": 3,
    }  # fmt: skip
    paper = table[table["source"].str.startswith("reported")].set_index("method")
    assert paper.loc["la_soft_moe", "ACER"] == "0.32"
    ours = table[table["source"] == "this machine"].set_index("method")
    assert ours.loc["vanilla", "ACER - vanilla"] == "-"
    assert ours.loc["soft_moe", "ACER - vanilla"] == str(recorded.difference("soft_moe"))
    assert "[" in ours.loc["soft_moe", "AUC"] and ours.loc["soft_moe", "seeds"] == "0, 1"
    assert "not comparable with ours" in caption(TABLE)


@pytest.mark.parametrize(
    ("form", "sign"),
    [("text", "la_soft_moe"), ("markdown", "| --- |"), ("latex", r"la\_soft\_moe")],
)
def test_every_form_holds_every_figure(record, form, sign):
    table = comparison(TABLE, {"this machine": parse_record("table6", record)})
    text = FORMATS[form](table, caption(TABLE))
    assert sign in text
    for value in table["ACER"]:
        assert value in text
