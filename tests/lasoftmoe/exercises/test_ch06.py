"""Chapter 6's checks: the book's solutions pass, blanks fail kindly, mistakes are named."""

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from lasoftmoe.exercises import ch06
from lasoftmoe.moe import Experts, SoftMoE
from tests.lasoftmoe.exercises.cells import ExerciseTests, Notebook

NOTEBOOK = Notebook("06_soft_moe", ch06)


def dispatch_with_loops(logits):
    shares = logits.exp()
    for picture in shares:
        for column in picture.flatten(1).unbind(1):
            column /= column.sum()
    return shares


def log_entropy(dispatch):
    return (-(dispatch * dispatch.clamp(min=1e-30).log2()).sum(1)).exp2()


# Correct programs that look different from the book's.
OTHER_WAYS = [
    (ch06.check_dispatch, lambda logits: F.softmax(logits.double(), dim=-3)),
    (ch06.check_dispatch, dispatch_with_loops),
    (
        ch06.check_combine,
        lambda logits: (logits - logits.flatten(2).logsumexp(-1)[..., None, None]).exp(),
    ),
    (ch06.check_slots, lambda n, d, e: SoftMoE(d, e, n // e, normalize_routing=True)),
    (ch06.check_cost, lambda e, s, d, h: torch.tensor(e * s * d * h * 4)),
    (ch06.check_effective_tokens, log_entropy),
]


MISTAKES = [
    (ch06.check_effective_tokens, lambda D: 2 ** torch.special.entr(D).sum(1), "power of 2"),
    (ch06.check_combine, lambda x: x.softmax(-1).softmax(-2), "two softmaxes in a row"),
    (ch06.check_dispatch, lambda x: x.flatten(2).softmax(-1).view_as(x), "combine weights"),
    (ch06.check_dispatch, lambda x: x.softmax(-1), "slots of one expert"),
    (ch06.check_dispatch, lambda x: x.softmax(2), "over the experts"),
    (ch06.check_dispatch, lambda x: x.softmax(0), "the batch"),
    (ch06.check_dispatch, lambda x: x.softmax(1).mT, "Expected a tensor of shape"),
    (ch06.check_dispatch, lambda x: x.sigmoid(), "the values are not"),
    (ch06.check_dispatch, lambda x: x.tolist(), "got a sequence"),
    (ch06.check_dispatch, lambda x: None, "returned None"),
    (ch06.check_combine, lambda x: x.softmax(1), "dispatch weights"),
    (ch06.check_combine, lambda x: x.softmax(-1), "each expert separately"),
    (ch06.check_combine, lambda x: x.softmax(2), "nothing in common"),
    (ch06.check_combine, lambda x: x.softmax(0), "the batch"),
    (ch06.check_combine, lambda x: x.flatten(2).softmax(-1), "still merged"),
    (ch06.check_slots, lambda n, d, e: SoftMoE(d, e, n), "PER EXPERT"),
    (ch06.check_slots, lambda n, d, e: SoftMoE(d, e, 1), "wanted as many"),
    (ch06.check_slots, lambda n, d, e: SoftMoE(d, e + 1, n // e), "another number of experts"),
    (ch06.check_slots, lambda n, d, e: n // e, "not a int"),
    (ch06.check_cost, lambda e, s, d, h: 2 * e * s * d * h, "half of it"),
    (ch06.check_cost, lambda e, s, d, h: e * s * d * h, "a quarter"),
    (ch06.check_cost, lambda e, s, d, h: 4 * s * d * h, "one expert"),
    (ch06.check_cost, lambda e, s, d, h: 4 * e * e * s * d * h, "every slot through every"),
    (ch06.check_cost, lambda e, s, d, h: 4 * 65 * d * h, "values are not[.] Try"),
    (ch06.check_effective_tokens, lambda D: torch.special.entr(D).sum(1), "entropy itself"),
    (
        ch06.check_effective_tokens,
        lambda D: torch.special.entr(D).sum((2, 3)).exp(),
        "how many slots a token feeds",
    ),
    (ch06.check_effective_tokens, lambda D: (-(D * D.log2()).sum(1)).exp(), "base 2"),
    (
        ch06.check_effective_tokens,
        lambda D: (-(D * D.log()).sum(1)).exp(),
        r"0 x log\(0\)",
    ),
]


class TestExercises(ExerciseTests):
    notebook = NOTEBOOK
    other_ways = OTHER_WAYS
    mistakes = MISTAKES


def test_cost_formula_is_what_torch_counts():
    experts = Experts(num_experts=3, dim=8, hidden_dim=10)
    with FlopCounterMode(display=False) as counter:
        experts(torch.randn(1, 3, 5, 8))
    assert counter.get_total_flops() == NOTEBOOK.functions()["expert_flops"](3, 5, 8, 10)


def test_checks_leave_the_readers_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    ch06.check_dispatch(NOTEBOOK.functions()["dispatch_weights"])
    ch06.check_effective_tokens(NOTEBOOK.functions()["count_tokens"])
    assert torch.equal(torch.randn(2), expected)
