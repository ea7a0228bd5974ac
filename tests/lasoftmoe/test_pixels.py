"""Images as numbers in [0, 1], in every type and inside a compiled graph."""

import pytest
import torch
from torch import nn

from lasoftmoe.methods import METHODS, build_detector, method_config, preset_settings
from lasoftmoe.pixels import to_unit_range

BYTES = torch.tensor([0, 51, 255], dtype=torch.uint8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_bytes_and_fractions_become_the_type_asked_for(dtype):
    expected = torch.tensor([0.0, 0.2, 1.0]).to(dtype)
    assert torch.equal(to_unit_range(BYTES, dtype), expected)
    assert torch.equal(to_unit_range(torch.tensor([0.0, 0.2, 1.0]), dtype), expected)


def test_other_types_and_ranges_are_refused():
    with pytest.raises(TypeError, match=r"got torch\.int64"):
        to_unit_range(BYTES.long())
    with pytest.raises(ValueError, match="largest magnitude here is 255"):
        to_unit_range(BYTES.float())


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(METHODS))
def test_a_detector_is_one_graph_for_floating_point_images(kind):
    class Scores(nn.Module):
        def __init__(self):
            super().__init__()
            self.detector = build_detector(method_config(kind, preset_settings(kind, "laptop")), 0)

        def forward(self, images):
            return self.detector.attack_score(images)

    scores = Scores().eval()
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = scores(images)  # CLIP encodes its texts once, outside of the graph
        exported = torch.export.export(scores, (images,)).module()
    assert torch.allclose(exported(images), expected, atol=1e-4)
