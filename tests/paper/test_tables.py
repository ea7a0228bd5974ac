"""Arithmetic on the paper's tables: what follows from the numbers that it prints."""

import numpy as np
import pytest

from lasoftmoe.records.reported import reported
from tools.values import solved_rates

TEST = reported("table1").results.loc["test"]
LIVE, ATTACK = int(TEST["live"]), int(TEST["total"] - TEST["live"])
ROUNDED = 0.005
"""A printed number may be off by this much."""


def printed(table: str) -> dict[str, dict[str, float]]:
    return reported(table).results.to_dict("index")


def solved_range(row: dict[str, float]) -> np.ndarray:
    """Least and greatest APCER and BPCER that round to the printed ACER and ACC, (2, 2)."""
    corners = [
        solved_rates(row["ACER"] + a, row["ACC"] + b)
        for a in (-ROUNDED, ROUNDED)
        for b in (-ROUNDED, ROUNDED)
    ]
    return np.array([np.min(corners, axis=0), np.max(corners, axis=0)])


def eer_is_possible(row: dict[str, float]) -> bool:
    """An EER lies between APCER and BPCER at any threshold: as one falls, the other rises."""
    (low, high) = solved_range(row)
    return min(low) - ROUNDED <= row["EER"] <= max(high) + ROUNDED


def eer_is_apcer(row: dict[str, float]) -> bool:
    low, high = solved_range(row)[:, 0]
    return low - ROUNDED <= row["EER"] <= high + ROUNDED


def test_one_row_of_table_2_contradicts_itself():
    possible = {name: eer_is_possible(row) for name, row in printed("table2").items()}
    assert [name for name, fine in possible.items() if not fine] == ["VIT-B/16"]


def test_of_table_2_only_the_eer_of_ours_is_the_apcer():
    """As in Tables 5 and 6, so this one column most likely holds two different quantities."""
    found = {name for name, row in printed("table2").items() if eer_is_apcer(row)}
    assert found == {"Ours"}
    (_, high) = solved_range(printed("table2")["Ours"])
    assert max(high) == high[0], "the APCER is the upper bound of an EER"


def test_solved_rates_give_back_what_is_printed():
    for table in ("table2", "table5", "table6"):
        for row in printed(table).values():
            apcer, bpcer = solved_rates(row["ACER"], row["ACC"])
            assert min(apcer, bpcer) >= 0
            assert (apcer + bpcer) / 2 == pytest.approx(row["ACER"])
            wrong = apcer * ATTACK + bpcer * LIVE
            assert 100 - wrong / (ATTACK + LIVE) == pytest.approx(row["ACC"])


def test_the_eer_of_table_5_is_the_apcer_in_every_row():
    assert all(eer_is_apcer(row) for row in printed("table5").values())


def test_the_eer_of_table_6_is_the_apcer_in_two_of_three_rows():
    found = {name: eer_is_apcer(row) for name, row in printed("table6").items()}
    assert found == {
        "vanilla CLIP": False,
        "CLIP + Soft MoE": True,
        "CLIP + La-SoftMoE": True,
    }


def test_the_counts_of_table_1():
    table = reported("table1").results
    assert table["subjects"].sum() == 1800
    assert table["total"].sum() == 35_906
    assert (LIVE, ATTACK) == (4500, 17_006)
    kinds = table[["live", "physical", "adversarial", "digital"]].sum(axis=1)
    assert (kinds == table["total"]).all()


def test_ours_has_the_best_acer_and_acc_of_table_2_and_neither_auc_nor_eer():
    table = reported("table2").results
    others = table.drop("Ours")
    assert table.loc["Ours", "ACER"] < others["ACER"].min()
    assert table.loc["Ours", "ACC"] > others["ACC"].max()
    assert table.loc["Ours", "AUC"] < others["AUC"].max()
    assert table.loc["Ours", "EER"] > others["EER"].min()


def test_the_step_of_table_2_is_eighteen_live_images_or_sixty_eight_attacks():
    table = reported("table2").results
    step = (table.loc["UniAttackDetection", "ACER"] - table.loc["Ours", "ACER"]) / 100
    assert round(2 * step * LIVE) == 18
    assert round(2 * step * ATTACK) == 68


def test_a_common_space_reaches_half_a_percent_in_the_papers_own_table():
    """The abstract calls a common space "difficult to be found or even non-existent"."""
    assert reported("table2").results.loc["UniAttackDetection", "ACER"] < 1


def test_t_3_and_t_8_share_the_best_accuracy_of_table_5():
    table = reported("table5").results
    best = {c: set(table.index[table[c] == table[c].max()]) for c in ("ACC", "AUC")}
    best |= {c: set(table.index[table[c] == table[c].min()]) for c in ("ACER", "EER")}
    assert best == {"ACC": {"T-3", "T-8"}, "AUC": {"T-3"}, "ACER": {"T-8"}, "EER": {"T-3"}}


def test_the_prompt_is_the_one_with_the_least_error_on_test():
    """Table 5 is measured on test, and its best row is the row "Ours" of Table 2."""
    table = reported("table5").results
    assert table["ACER"].idxmin() == "T-8"
    assert table.loc["T-8"].equals(reported("table2").results.loc["Ours"])


def test_the_order_of_table_6_in_acer_is_not_that_in_auc():
    table = reported("table6").results
    assert table["ACER"].is_monotonic_decreasing
    assert table["AUC"].idxmax() == "vanilla CLIP"


def test_table_3_lacks_the_strongest_rival_of_table_2():
    rivals = reported("table2").results.drop("Ours")
    strongest = rivals["ACER"].idxmin()
    assert strongest not in reported("table3").results.index
    assert reported("table3").results["ACER"].idxmin() == "Ours"


def test_prompts_move_acer_by_as_much_as_soft_moe_does():
    """ "Stable" against "influences our model a lot": both sentences are about these steps."""
    prompts, ablation = reported("table5").results["ACER"], reported("table6").results["ACER"]
    spread = prompts.max() - prompts.min()
    assert spread == pytest.approx(0.31)
    assert spread > ablation["CLIP + Soft MoE"] - ablation["CLIP + La-SoftMoE"]
    above = prompts[prompts > ablation["CLIP + Soft MoE"]]
    assert list(above.index) == ["T-6"], "one prompt undoes the whole step from Soft MoE"
