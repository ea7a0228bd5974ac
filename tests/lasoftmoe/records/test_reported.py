"""Results of the paper have their place, and their columns add up."""

import pytest

from lasoftmoe.records.reported import reported

TABLES = ("table1", "table2", "table3", "table5", "table6")


def test_reported_results_have_their_place():
    table = reported("table6")
    assert table.source == "reported by the paper, Table 6"
    assert table.results.loc["CLIP + La-SoftMoE", "ACER"] == 0.32
    assert reported("table5").results.loc["T-8"].equals(reported("table2").results.loc["Ours"])
    with pytest.raises(KeyError, match=f"no results for 'table9'; there are {', '.join(TABLES)}"):
        reported("table9")


@pytest.mark.parametrize("name", TABLES)
def test_reported_results_are_percentages_or_counts_that_add_up(name):
    results = reported(name).results
    if name == "table1":
        parts = results[["live", "physical", "adversarial", "digital"]]
        assert (parts.sum(axis=1) == results["total"]).all()
    else:
        assert results.map(lambda value: 0 <= value <= 100).all(axis=None)
        assert (results["ACER"] < 100 - results["ACC"] + 10).all()
