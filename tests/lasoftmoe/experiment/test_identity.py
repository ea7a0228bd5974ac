"""A run's identity covers what decides its result, and nothing else."""

import ast
import dataclasses
import shutil
from pathlib import Path

import pytest

from data_prep.provenance import code_digest
from lasoftmoe.data import decoded
from lasoftmoe.experiment import identity, load_config
from lasoftmoe.experiment.identity import code_files, run_identity
from lasoftmoe.methods import METHODS
from lasoftmoe.paths import PACKAGE
from lasoftmoe.small_clip import EMBEDDED_WEIGHTS

WITHOUT_RESULT = {
    "clip_request.py": "refuses what cannot be built",
    "data/decoded.py": "has a digest of its own",
    "data/stream_order.py": "covered for runs that read shards",
    "data/streaming.py": "covered for runs that read shards",
    "data/workers.py": "checks the machine and explains lost worker processes",
    "experiment": "reads presets; the configuration itself is covered",
    "method.py": "declares rows of the table",
    "metrics/report.py": "prints and stores results",
    "paths.py": "names folders",
    "progress.py": "draws progress bars",
    "settings.py": "checks values, which are covered themselves",
    "training/checkpoint.py": "a resumed training equals one that was not interrupted",
    "training/clock.py": "measures time",
    "training/config.py": "checks values, which are covered themselves",
    "weights_files.py": "reads and writes tensors as they are",
}


def identity_of(name="vanilla", checksum="data", **overrides):
    return run_identity(load_config(name, "laptop", overrides=overrides), checksum)


def test_the_reader_of_shards_counts_where_it_is_used(monkeypatch):
    plain, sharded = identity_of(), identity_of(data={"reader": "shards"})
    monkeypatch.setattr(identity, "STREAMING", ())
    assert identity_of() == plain
    assert identity_of(data={"reader": "shards"}) != sharded


def test_it_follows_everything_that_can_change_a_result(monkeypatch):
    base = identity_of()
    assert base == identity_of()
    others = {
        "seed": identity_of(seed=1),
        "dataset": identity_of(checksum="other data"),
        "epochs": identity_of(training={"epochs": 1}),
        "branch": identity_of("soft_moe"),
        "prompt": identity_of(detector={"prompt": "T-1"}),
        "size": identity_of(data={"image_size": 64}),
        "reader": identity_of(data={"reader": "shards"}),
    }
    monkeypatch.setattr(identity, "decoder_digest", lambda: "another decoder")
    others["decoder"] = identity_of()
    monkeypatch.undo()
    monkeypatch.setattr(identity, "code_digest", lambda files, root: "other code")
    others["code"] = identity_of()
    monkeypatch.undo()
    monkeypatch.setattr(identity, "_weights_hashes", lambda config: ["other weights"])
    others["weights"] = identity_of()
    monkeypatch.undo()
    monkeypatch.setattr(identity.processes, "process_count", lambda: 2)
    others["processes"] = identity_of()
    assert base not in others.values() and len(set(others.values())) == len(others)


def test_it_follows_nothing_else(tmp_path):
    config = load_config("vanilla", "laptop")
    base = run_identity(config, "data")
    training = dataclasses.replace(config.training, num_workers=3, checkpoint_every=7)
    data = dataclasses.replace(config.data, folder=str(tmp_path))
    same = dataclasses.replace(config, device="cuda", data=data, training=training)
    assert run_identity(same, "data") == base


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("vanilla", {"detector": {"moe": {"z_coefficient": 9.0, "num_experts": 9}}}),
        ("soft_moe", {"detector": {"moe": {"top_k": 1, "heads": 2, "feature_map": "relu"}}}),
        ("la_soft_moe", {"detector": {"moe": {"capacity_factor": None}}}),
        ("la_soft_moe_softmax_attention", {"detector": {"moe": {"feature_map": "relu"}}}),
        ("top_k_moe", {"detector": {"moe": {"slots_per_expert": 3, "variant": "stable"}}}),
        ("vanilla", {"training": {"momentum": 0.1, "step_factor": 0.5, "eval_batch_size": 7}}),
    ],
)
def test_settings_that_nothing_reads_change_nothing(name, overrides):
    assert identity_of(name, **overrides) == identity_of(name)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("soft_moe", {"detector": {"moe": {"num_experts": 9}}}),
        ("la_soft_moe", {"detector": {"moe": {"heads": 2}}}),
        ("la_soft_moe", {"detector": {"moe": {"feature_map": "relu"}}}),
        ("top_k_moe", {"detector": {"moe": {"z_coefficient": 9.0}}}),
        ("vanilla", {"training": {"optimizer": "sgd"}}),
        ("resnet", {"detector": {"width": 1.0}}),
    ],
)
def test_settings_that_are_read_change_it(name, overrides):
    assert identity_of(name, **overrides) != identity_of(name)


def test_weights_count_by_their_bytes_and_not_by_their_place(tmp_path):
    for suffix in (".safetensors", ".json"):
        shutil.copy(EMBEDDED_WEIGHTS.with_suffix(suffix), tmp_path / f"copy{suffix}")
    moved = {"clip": {"pretrained": str(tmp_path / "copy.safetensors")}}
    hashes = [
        identity._weights_hashes(load_config("vanilla", "laptop", overrides=overrides).detector)
        for overrides in ({}, {"detector": moved})
    ]
    assert hashes[0][0] == hashes[1][0]
    assert identity_of() != identity_of(detector={"clip": {"pretrained": None}})


@pytest.fixture
def copy_of_package(tmp_path, monkeypatch):
    """The package's sources in another folder, which tests may change."""
    package = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("*.json", "*.safetensors"))
    monkeypatch.setattr(identity, "PACKAGE", package)
    return package


@pytest.mark.parametrize("name", ["vanilla", "soft_moe", "la_soft_moe", "resnet"])
@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        ("plots/scores.py", ()),
        ("exercises/ch01.py", ()),
        ("moe/cost.py", ()),
        ("moe/new_layer.py", ()),
        ("methods/new_method.py", ()),
        ("moe/soft_moe.py", ("clip",)),
        ("prompts.py", ("clip",)),
        ("small_clip/stem.py", ("clip",)),
        ("methods/timm_classifier.py", ("timm_classifier",)),
        ("training/loop.py", ("clip", "timm_classifier")),
        ("data/moves.py", ("clip", "timm_classifier")),
        ("pixels.py", ("clip", "timm_classifier")),
    ],
)
def test_it_follows_the_methods_own_code_and_the_engine(name, file, kinds, copy_of_package):
    kind = load_config(name, "laptop").detector.kind
    root = copy_of_package.parent
    before = code_digest(code_files(kind), root)
    path = copy_of_package / file
    path.write_text((path.read_text() if path.exists() else "") + "\nX = 1\n")
    assert (code_digest(code_files(kind), root) != before) == (kind in kinds)


def test_comments_and_docstrings_change_nothing(copy_of_package):
    before = code_digest(code_files("clip"), copy_of_package.parent)
    path = copy_of_package / "losses.py"
    path.write_text(f"# a comment\n{path.read_text()}")
    assert code_digest(code_files("clip"), copy_of_package.parent) == before


@pytest.mark.parametrize("kind", list(METHODS))
def test_whatever_a_method_imports_is_covered_or_has_a_reason_not_to_be(kind):
    covered = set(code_files(kind))
    for path in imported_files(covered):
        name = path.relative_to(PACKAGE).as_posix()
        excused = name in WITHOUT_RESULT or name.split("/")[0] in WITHOUT_RESULT
        package = path.name == "__init__.py"
        assert path in covered or excused or package, name


def imported_files(files):
    """Files of the package that ``files`` import, directly or through others."""
    found, waiting = set(), list(files)
    while waiting:
        tree = ast.parse(waiting.pop().read_text("utf-8"))
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names = [f"{node.module}.{alias.name}" for node in nodes for alias in node.names]
        modules = {part for name in names for part in (name, name.rpartition(".")[0])}
        for module in (m for m in modules if m.startswith("lasoftmoe.")):
            path = PACKAGE.joinpath(*module.split(".")[1:])
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file() and file not in found:
                    found.add(file)
                    waiting.append(file)
    return found


def test_shipped_weights_are_covered_byte_for_byte_and_a_tag_by_its_name():
    vanilla = load_config("vanilla", "laptop").detector
    assert [len(digest) for digest in identity._weights_hashes(vanilla)] == [64, 64]
    assert identity._weights_hashes(load_config("vanilla", "a100").detector) == ["openai"]
    assert identity._weights_hashes(load_config("resnet", "laptop").detector) == []


def test_the_decoders_digest_covers_its_code_and_pillow(monkeypatch, tmp_path):
    before = decoded.decoder_digest()
    assert Path(decoded.__file__) in decoded.DECODING_CODE
    changed = tmp_path / "decoded.py"
    changed.write_text(Path(decoded.__file__).read_text() + "\nX = 1\n")
    monkeypatch.setattr(decoded.provenance, "ROOT", tmp_path)
    assert decoded.decoder_digest((changed,)) != before
    monkeypatch.undo()
    decoded.decoder_digest.cache_clear()
    monkeypatch.setattr(decoded, "version", lambda name: "0.0")
    assert decoded.decoder_digest() != before
    decoded.decoder_digest.cache_clear()
