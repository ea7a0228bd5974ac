"""Numbers by name: looked up, formatted, and never guessed."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from lasoftmoe.records.recorded import read_recorded
from lasoftmoe.records.reported import reported
from tests.book.conftest import BOOK
from tools import values
from tools.claims.ledger import VERDICTS, read_ledger
from tools.values import PENDING, UnknownValue, solved_rates, text_of, value_of

ROLE = re.compile(r"\{value\}`([^`]+)`")
PAGES = sorted(path.name for path in BOOK.glob("*.md") if ROLE.search(path.read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_every_number_that_a_page_names_is_there(page: str) -> None:
    for expression in ROLE.findall((BOOK / page).read_text("utf-8")):
        assert text_of(expression)


@pytest.mark.parametrize("page", ["negative_results.md", "reproduction.md"])
def test_these_pages_hold_no_result_typed_by_hand(page: str) -> None:
    text = ROLE.sub("", (BOOK / page).read_text("utf-8"))
    assert re.findall(r"\b\d+\.\d+\b", text) == []


def test_a_reported_number_is_the_papers_with_its_two_decimals() -> None:
    assert text_of("reported table2 CDCN ACER") == "1.40"
    assert text_of('reported table6 "CLIP + Soft MoE" ACER') == "0.53"
    assert text_of("reported table1 test total") == "21,506"


def test_recorded_numbers_are_those_of_the_record() -> None:
    record = read_recorded("table6")
    mean = record.table.query("row == 'vanilla'")["acer"].mean()
    assert text_of("mean table6 vanilla acer") == f"{100 * mean:.1f}"
    difference = str(record.difference("soft_moe")).replace("-0.0", "0.0")
    assert text_of("difference table6 soft_moe") == difference
    assert text_of("seeds table6") == str(record.table["seed"].nunique())
    assert text_of("command table6") == record.origin.command
    checksum = record.facts["dataset"]["checksum"]
    assert text_of("fact table6 dataset checksum") == checksum


def test_the_chance_to_win_of_a_method_against_itself_is_one_half() -> None:
    assert text_of("better table6 vanilla vanilla").startswith("0.50 [")


def test_rates_are_solved_from_acer_and_acc() -> None:
    """4,500 live images and 17,006 attacks, as in Table 1."""
    apcer, bpcer = solved_rates(50.0, 100 * 4500 / 21506)  # calls everything live
    assert (apcer, bpcer) == (pytest.approx(100), pytest.approx(0, abs=1e-9))


def test_a_step_of_a_table_is_put_into_images() -> None:
    results = reported("table6").results["ACER"]
    step = (results["vanilla CLIP"] - results["CLIP + Soft MoE"]) / 100
    expected = f"{2 * step * 4500:.0f}"
    assert text_of('images table6 "vanilla CLIP" "CLIP + Soft MoE" live') == expected


def test_a_record_that_is_only_planned_says_so(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "STUDIES", tmp_path)
    (tmp_path / "someday.yaml").touch()
    assert text_of("fact someday result") == PENDING
    with pytest.raises(UnknownValue, match="no record 'never'"):
        text_of("fact never result")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "no value ''"),
        ("guess table6", "no value 'guess'; known: reported"),
        ('reported table6 "vanilla CLIP', "'reported table6 \"vanilla CLIP': No closing quotation"),
        ("claims hold", "'claims hold': no verdict 'hold'; known: holds; holds, with condition"),
        ("mean table6 vanilla", "missing a required argument"),
        ("mean table6 vanilla f1", "KeyError: 'f1'"),
        ("mean tabel6 vanilla acer", "no record 'tabel6'"),
        ("difference table6 nobody", "no difference in acer of 'nobody'"),
        ("reported table6 nobody ACER", "KeyError: 'nobody'"),
        ("fact table6 gone", "KeyError: 'gone'"),
        ("times benchmark_moe_cpu nothing soft", "0 entries of layers match"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error_with_the_name(expression: str, message: str) -> None:
    with pytest.raises(UnknownValue, match=re.escape(message)):
        text_of(expression)


def test_claims_are_counted_by_verdict_and_hearsay_for_itself() -> None:
    claims = read_ledger()
    hearsay = [claim for claim in claims if claim.kind == "hearsay"]
    assert text_of("hearsay") == str(len(hearsay)) != "0"
    assert text_of("claims") == str(len(claims) - len(hearsay))
    counts = [int(text_of(f'claims "{verdict}"')) for verdict in VERDICTS]
    assert sum(counts) == len(claims) - len(hearsay)


def test_a_space_over_seeds_is_their_mean_with_the_outer_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        {"space": "clip_after", "seed": seed, "statistic": "family_gap", "estimate": x}
        | {"low": x - 0.1, "high": x + 0.1}
        for seed, x in enumerate((1.0, 1.2))
    ]
    sources = [{"source": "order", "draws": 3, "deviation": 0.011, "low": 0.005, "high": 0.02}]
    facts = SimpleNamespace(facts={"spaces": rows, "sources": sources})
    monkeypatch.setattr(values, "record", lambda name: facts)
    assert text_of("space clip_after family_gap") == "1.10 [0.90, 1.30]"
    assert text_of("deviation order") == "1.10 [0.50, 2.00]"
    with pytest.raises(UnknownValue, match="no 'family_gap' in the space 'clip_befor'"):
        text_of("space clip_befor family_gap")


def test_what_the_pages_say_of_prompts_is_said_of_one_seed() -> None:
    """After a recording with more seeds, settle claim D12 and rewrite both sentences."""
    (claim,) = (claim for claim in read_ledger() if claim.id == "D12")
    for text in (claim.finding, (BOOK / "reproduction.md").read_text("utf-8")):
        assert "One seed each: the eight span" in text
    assert text_of("seeds prompts") == "1"
    assert float(text_of("apart prompts acer")) > float(text_of("spread table6 acer"))


OPEN = {"difference table6 soft_moe", "difference table6 la_soft_moe"}
OPEN |= {"difference table6 la_soft_moe_stable", "fact_interval reprocessing gap"}


@pytest.mark.parametrize("expression", sorted(OPEN))
def test_what_the_page_of_negative_results_calls_no_difference_is_none(expression: str) -> None:
    """If a new recording shows a difference, rewrite the paragraph."""
    assert expression in (BOOK / "negative_results.md").read_text("utf-8")
    assert value_of(expression).contains_zero


def test_what_the_page_of_negative_results_says_of_losses_speed_and_transfer_still_holds() -> None:
    """If a new recording shows otherwise, rewrite the paragraph."""
    for loss in ("equation_1", "multi_positive"):
        assert value_of(f"difference losses {loss} auc").high < 0
    assert value_of("grown benchmark_moe_cpu attention 197 linear softmax") > 1
    assert value_of("times benchmark_moe_cpu soft top-k") > 0.95
    assert not read_recorded("benchmark_moe_cpu").facts["targets"][3]["met"]
    surrogate, second = (float(text_of(f"success pgd {name}")) for name in ("surrogate", "second"))
    assert second < surrogate / 4
