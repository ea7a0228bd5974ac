"""UniAttackDetection: CLIP with learned prompts that are held close to written ones (Fang et al.).

IJCAI 2024. Three parts sit around CLIP's two towers:

- Teacher-student prompts: written sentences about live and fake are the teacher; learned tokens in
  front of the names of the attack families are the student.
- Unified Knowledge Mining mixes the features of both into one text feature for each class, which a
  loss holds close to the teacher's.
- Sample-Level Prompt Interaction sends the learned tokens into the vision tower too.

There is no official code. What is not public is a field of :class:`UniAttackDetectionConfig`, and
its preset calls it an assumption. A layer that maps the student alone to live and fake is left out,
because its place in the loss is unknown.
"""

from __future__ import annotations

from dataclasses import asdict, field, replace
from typing import Any, ClassVar, Self, cast

import torch
from open_clip.transformer import VisionTransformer
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.clip import CLIP_CODE, ClipBundle, ClipConfig, load_clip
from lasoftmoe.detector import Batch, Detector, Group
from lasoftmoe.method import Method, MethodConfig, Weights
from lasoftmoe.methods import clip as clip_method
from lasoftmoe.methods.clip import ClipDetectorConfig
from lasoftmoe.prompts import PROMPTS, text_embeddings
from lasoftmoe.settings import CHECKED, Count, Fraction, NonNegative, NonNegativeCount

FAMILIES = ("live", "physical", "editing", "adversarial")
"""What the student's classes are, in the order of ``student_classes``."""


@dataclass(frozen=True, config=CHECKED)
class UniAttackDetectionConfig(MethodConfig):
    """A CLIP, the texts of teacher and student, and what is trained.

    ``templates`` are names of ``prompts.PROMPTS``, and ``teacher_words`` say live and fake in them.
    ``student_classes`` name the four :data:`FAMILIES` after ``tokens`` learned tokens. ``heads``,
    ``hidden_ratio``, and ``dropout`` are those of the one transformer block that mixes features.

    ``mining_weight`` multiplies the loss that holds mixed features close to the teacher's.
    ``family_weight`` multiplies a cross-entropy over the families, which is ours and needs their
    labels. ``freeze_image`` keeps the vision tower as it is; the text tower is always kept.
    """

    kind: ClassVar[str] = "uni_attack_detection"
    clip: ClipConfig = field(default_factory=ClipConfig)
    templates: tuple[str, ...] = ("T-6", "T-1", "T-2", "T-3")
    teacher_words: tuple[str, str] = ("live", "fake")
    student_classes: tuple[str, str, str, str] = (
        "live face",
        "physical attack",
        "digital attack",
        "adversarial attack",
    )
    tokens: NonNegativeCount = 4
    heads: Count = 4
    hidden_ratio: Count = 4
    dropout: Fraction = 0.0
    mining_weight: NonNegative = 1.0
    family_weight: NonNegative = 0.0
    freeze_image: bool = False

    def __post_init__(self) -> None:
        """Refuse templates that do not exist."""
        strange = [name for name in self.templates if name not in PROMPTS]
        if strange or not self.templates:
            raise ValueError(
                f"templates are {list(self.templates)}; expected names among {', '.join(PROMPTS)}"
            )

    def unloaded(self) -> Self:
        """Return the same network with random weights."""
        return replace(self, clip=replace(self.clip, pretrained=None))


class LearnedPrompt(nn.Module):
    """Learned tokens between the start of a text and the name of a class, through a text tower.

    Args:
        bundle: An open_clip CLIP; its text tower is used and not stored here.
        texts: Names of the classes.
        tokens: Number of learned tokens, shared by all classes.

    Raises:
        ValueError: If a text is too long for the tower.
    """

    def __init__(self, bundle: ClipBundle, texts: tuple[str, ...], tokens: int) -> None:
        super().__init__()
        width = bundle.model.token_embedding.embedding_dim
        self.tokens = nn.Parameter(0.02 * torch.randn(tokens, width))
        with torch.device("cpu"):  # lengths are numbers, on the meta device too
            ids = bundle.tokenize(list(texts))
        ends = ids.argmax(dim=1)  # the end of a text has the highest id
        self.length = int(ends.max()) + 1 + tokens
        if self.length > ids.shape[1]:
            raise ValueError(
                f"{tokens} learned tokens and {texts} make {self.length} tokens; this CLIP reads "
                f"at most {ids.shape[1]}, so use fewer tokens or shorter names"
            )
        self.register_buffer("ids", ids[:, : self.length - tokens], persistent=False)
        self.register_buffer("ends", ends + tokens, persistent=False)

    def forward(self, bundle: ClipBundle) -> Tensor:
        """Return features of the texts, (texts, embed), not normalized."""
        model, length = bundle.model, self.length
        words = model.token_embedding(self.ids)
        learned_rows = self.tokens.to(words.dtype).expand(len(words), -1, -1)
        x = torch.cat([words[:, :1], learned_rows, words[:, 1:]], dim=1)
        x = x + model.positional_embedding[:length].to(x.dtype)
        x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
        x = model.ln_final(x)[torch.arange(len(x), device=x.device), self.ends]
        return x @ model.text_projection


class KnowledgeMining(nn.Module):
    """Unified Knowledge Mining: texts of teacher and student to one feature for each class.

    A transformer block lets all texts look at each other; a linear layer maps them together to the
    classes.

    Args:
        dim: Width of the features.
        texts: Number of texts, those of the teacher and those of the student.
        classes: Number of classes.
        heads, hidden_ratio, dropout: Of the block.
    """

    def __init__(
        self, dim: int, texts: int, classes: int, heads: int, hidden_ratio: int, dropout: float
    ) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(
            dim, heads, hidden_ratio * dim, dropout, batch_first=True
        )
        self.project = nn.Linear(texts * dim, classes * dim)
        self.classes = classes

    def forward(self, texts: Tensor) -> Tensor:
        """(texts, dim) to L2-normalized (classes, dim)."""
        mixed = self.block(texts[None]).flatten()
        return F.normalize(self.project(mixed).unflatten(0, (self.classes, -1)), dim=-1)


def mining_loss(fused: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean of 1 - cosine between fused features and each template's.

    Args:
        fused: (classes, dim).
        teacher: (templates, classes, dim).
    """
    return (1 - F.cosine_similarity(fused, teacher, dim=-1)).mean()


class UniAttackDetection(Detector):
    """CLIP whose class texts are mined from written and learned prompts.

    Args:
        bundle: a CLIP of open_clip.
        config: See :class:`UniAttackDetectionConfig`.
    """

    def __init__(self, bundle: ClipBundle, config: UniAttackDetectionConfig) -> None:
        super().__init__()
        self.config = config
        self.needs = ("family",) if config.family_weight else ()
        self.bundle, self.clip = bundle, bundle.model
        for name, parameter in self.clip.named_parameters():
            trained = name.startswith("visual.") and not config.freeze_image
            parameter.requires_grad_(trained)
        visual = cast(VisionTransformer, bundle.visual)
        self.prompt = LearnedPrompt(bundle, config.student_classes, config.tokens)
        texts = 2 * len(config.templates) + len(config.student_classes)
        self.mining = KnowledgeMining(
            visual.output_dim, texts, 2, config.heads, config.hidden_ratio, config.dropout
        )
        self.to_vision = nn.Linear(self.prompt.tokens.shape[1], len(visual.class_embedding))
        self._teacher: Tensor | None = None
        self.register_load_state_dict_post_hook(lambda module, _: module._forget_teacher())

    def teacher(self) -> Tensor:
        """Return L2-normalized features of the written texts, (templates, 2, embed).

        The text tower is frozen, so they are encoded once.
        """
        if self._teacher is None:
            texts = [
                PROMPTS[name].replace("{label}", word)
                for name in self.config.templates
                for word in self.config.teacher_words
            ]
            with torch.inference_mode(False), torch.no_grad():
                self._teacher = text_embeddings(self.bundle, texts).unflatten(0, (-1, 2))
        return self._teacher

    def student(self) -> Tensor:
        """Return L2-normalized features of the families, (4, embed)."""
        return F.normalize(self.prompt(self.bundle), dim=-1)

    def fused(self) -> Tensor:
        """Return L2-normalized features of live and fake, (2, embed)."""
        return self.mining(torch.cat([self.teacher().flatten(0, 1), self.student()]))

    def embed(self, images: Tensor) -> Tensor:
        """Return L2-normalized image features, (batch, embed), with the learned tokens inside.

        The tokens follow the patches, after positions are added and before the first norm.
        """
        visual = self.bundle.visual
        x = visual.transformer(visual.ln_pre(self.vision_tokens(self.bundle.preprocess(images))))
        return F.normalize(visual.ln_post(x[:, 0]) @ visual.proj, dim=-1)

    def vision_tokens(self, pixels: Tensor) -> Tensor:
        """Return class token, patches, and learned tokens, (batch, 1 + patches + tokens, width).

        Args:
            pixels: As ``ClipBundle.preprocess`` returns them.
        """
        visual = self.bundle.visual
        patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
        first = visual.class_embedding.expand(len(patches), 1, -1).to(patches.dtype)
        x = torch.cat([first, patches], dim=1) + visual.positional_embedding
        prompts = self.to_vision(self.prompt.tokens).expand(len(x), -1, -1)
        return torch.cat([x, prompts], dim=1)

    def attack_score(self, images: Tensor) -> Tensor:
        """Return ``logit_scale * (cos(image, fake) - cos(image, live))``, (batch,)."""
        live, fake = self.fused()
        return self.bundle.logit_scale * (self.embed(images) @ (fake - live))

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cross-entropy of the class, the mining loss, and the family's if used."""
        images, fused = self.bundle.logit_scale * self.embed(batch["image"]), self.fused()
        terms = {
            "class": F.cross_entropy(images @ fused.T, batch["is_attack"].long()),
            "mining": self.config.mining_weight * mining_loss(fused, self.teacher()),
        }
        if self.config.family_weight:
            family = torch.tensor([_family_index(name) for name in batch["family"]])
            loss = F.cross_entropy(images @ self.student().T, family.to(images.device))
            terms["family"] = self.config.family_weight * loss
        return terms

    def parameter_groups(self) -> dict[str, Group]:
        """Return what is added to CLIP and, unless it is frozen, the vision tower."""
        groups = {"prompts": Group([p for m in self._added() for p in m.parameters()])}
        if not self.config.freeze_image:
            groups["clip"] = Group(list(self.bundle.visual.parameters()))
        return groups

    def train(self, mode: bool = True) -> Self:
        """Set the mode as ``nn.Module.train`` does; a frozen vision tower stays in eval mode."""
        super().train(mode)
        if self.config.freeze_image:
            self.clip.eval()  # or batch norm would still change
        return self

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)

    def _added(self) -> tuple[nn.Module, ...]:
        return self.prompt, self.mining, self.to_vision

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        self._forget_teacher()  # .to(device), .half(), and the like
        return super()._apply(*args, **kwargs)

    def _forget_teacher(self) -> None:
        self._teacher = None


def _family_index(family: str) -> int:
    if family not in FAMILIES:
        raise ValueError(f"an image has the family {family!r}; expected one of {FAMILIES}")
    return FAMILIES.index(family)


def _build(config: UniAttackDetectionConfig) -> UniAttackDetection:
    """Build the network that ``config`` names.

    Raises:
        ValueError, FileNotFoundError, ConnectionError: See ``load_clip``.
    """
    device = torch.get_default_device()
    return UniAttackDetection(load_clip(config.clip.name, config.clip.pretrained, device), config)


def _weights(config: UniAttackDetectionConfig) -> Weights | None:
    return clip_method.METHOD.weights(ClipDetectorConfig(clip=config.clip))


METHOD = Method(
    UniAttackDetectionConfig,
    _build,
    _weights,
    paper="Table 2: UniAttackDetection",
    code=(*CLIP_CODE, "methods/clip.py", "losses.py", "prompts.py"),
    libraries=("open_clip_torch",),
)
