"""One training step, one validation step, and what a checkpoint holds: the run as Lightning sees it.

```
damaged -> generator -> restored -> losses against clean (and against a teacher's clip)
                           |  '---> critics: their own step first, then their verdict in the generator's loss
                           '------> averaged generator: validated, kept, exported
```
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Timer
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.fitting.adversarial import AdversarySettings, critic_loss, feature_loss, generator_loss
from training.fitting.generators import Generator, item_seeds
from training.fitting.losses import LossWeights, RestorationLoss
from training.fitting.quality import Quality
from training.fitting.schedule import Cosine, Schedule
from training.fitting.teachers import load_teacher
from training.nets import checkpoint
from training.nets.critics import MultiResolutionCritic

Batch = tuple[Tensor, Tensor]
"""Damaged and clean clips, (batch, 2, samples) each."""


@dataclass(frozen=True)
class TeacherSettings:
    """A net whose restored clips are learnt from, beside the clean ones.

    Attributes:
        checkpoint: of the published Apollo, or a model file (`.onnx`); none teaches nothing.
        weight: of the same losses against the teacher's clips.
    """

    checkpoint: Path | None = None
    weight: float = 0.5


@dataclass(frozen=True)
class AdamWSettings:
    """The optimiser of one net (Loshchilov & Hutter, arXiv 1711.05101).

    Attributes:
        learning_rate: at its highest.
        betas: how much of gradient and squared gradient one step keeps.
        weight_decay: of the weights in a step, times the learning rate.
    """

    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float = 0.01

    def optimizer(self, net: nn.Module) -> AdamW:
        """Build it for a net."""
        return AdamW(net.parameters(), lr=self.learning_rate, betas=self.betas, weight_decay=self.weight_decay)


_GENERATOR_ADAMW, _CRITIC_ADAMW = AdamWSettings(2e-3, (0.9, 0.98)), AdamWSettings(1e-4, (0.5, 0.99))
_WEIGHTS, _ADVERSARY, _TEACHER, _COSINE = LossWeights(), AdversarySettings(), TeacherSettings(), Cosine()

_NONE = torch.empty(0, 0, 0, 0, 0, 0, 0)  # of a shape that no weight has


class RestorationModule(LightningModule):
    """A generator in training.

    Args:
        generator: what restores.
        critic: what judges; none leaves the restoration losses alone.
        weights: of the restoration losses.
        adversary: how generator and critic meet.
        teacher: whom to learn from beside the clean music.
        generator_optimizer: of the generator.
        critic_optimizer: of the critic.
        schedule: of both learning rates.
        averaging: share of the averaged generator that one step keeps, 0 (no averaging) to below 1.
        gradient_clip: greatest norm of the gradients of generator and of critic.
        lighter_every: every so many steps a lighter tier is trained instead of the whole net; 0 never.
        fuse: fuse net and losses with `torch.compile`: a minute or two at the start, then faster on a CPU.
        seed: of what is random in a step.

    Raises:
        ValueError: `averaging` is out of bounds.
    """

    def __init__(
        self,
        generator: Generator,
        critic: MultiResolutionCritic | None = None,
        weights: LossWeights = _WEIGHTS,
        adversary: AdversarySettings = _ADVERSARY,
        teacher: TeacherSettings = _TEACHER,
        generator_optimizer: AdamWSettings = _GENERATOR_ADAMW,
        critic_optimizer: AdamWSettings = _CRITIC_ADAMW,
        schedule: Schedule = _COSINE,
        averaging: float = 0.99,
        gradient_clip: float = 1.0,
        lighter_every: int = 3,
        fuse: bool = False,
        seed: int = 1,
    ) -> None:
        """Build what is trained, and copy the generator for averaging."""
        super().__init__()
        if not 0 <= averaging < 1:
            raise ValueError(f"averaging must be 0 to below 1, got {averaging}")
        self.automatic_optimization = False  # generator and critics take turns in one step
        # Before the generator, so that whoever takes the first tensor of a name takes the averaged one.
        self.averaged = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(averaging)).requires_grad_(False)
        self.generator, self.critic = generator, critic
        self.loss = RestorationLoss(weights, generator.sample_rate)
        self.quality = Quality(generator.sample_rate)
        self.adversary, self.teacher, self.schedule = adversary, teacher, schedule
        self._optimizer_settings = generator_optimizer, critic_optimizer
        self.gradient_clip, self.lighter_every, self.seed = gradient_clip, lighter_every, seed
        # In a list, since a teacher's weights belong neither into checkpoints nor into the exchange of gradients.
        self._teachers = [load_teacher(teacher.checkpoint, generator.sample_rate)] if teacher.checkpoint else []
        if fuse:
            generator.fuse()
            self.loss.fuse()
        self.steps, self.trained_s = 0, 0.0

    def configure_optimizers(self) -> list[Optimizer]:
        """One for the generator, one for the critics."""
        nets = [self.generator, self.critic]
        return [of.optimizer(net) for of, net in zip(self._optimizer_settings, nets, strict=True) if net]

    def on_fit_start(self) -> None:
        """Bring along what isn't a part of this module."""
        for teacher in self._teachers:
            teacher.to(self.device)
        self.quality.cpu()

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Teach the critics, then the generator.

        Returns:
            The losses and the gradient's norm, without gradient.

        Shape:
            batch: (batch, 2, samples), damaged and clean -> () each
        """
        started = time.monotonic()
        self._set_learning_rates()
        damaged, clean = batch
        restored, of_parts = self.generator.taught(damaged, clean, self._seeds(len(damaged)), self._tier())
        clean = clean[..., : restored.shape[-1]]
        with torch.autocast(self.device.type, enabled=False):  # spectra and logarithms need all digits
            loss, parts = self._restoration_loss(restored, clean, damaged)
        loss = loss + sum(of_parts.values())
        parts |= {name: value.detach() for name, value in of_parts.items()}
        if self.critic and self.steps >= self.adversary.critics_from_step:
            parts["critic"] = self._teach_critics(restored.detach(), clean)
            if openness := self.adversary.openness(self.steps):
                loss = loss + openness * self._verdict(restored, clean, parts)
        parts |= {"loss": loss.detach(), "gradient": self._teach_generator(loss)}
        self.steps += 1
        self.trained_s += time.monotonic() - started
        return parts

    def _tier(self) -> int:
        """The best tier, and now and then another one."""
        lighter = self.generator.n_tiers - 1
        if not lighter or not self.lighter_every or (self.steps + 1) % self.lighter_every:
            return -1
        return self.steps // self.lighter_every % lighter

    def _seeds(self, n_items: int) -> list[int]:
        """One for each item; processes that share a batch have its next items each."""
        first = self.global_rank * n_items
        return item_seeds(self.seed, self.steps, range(first, first + n_items))

    def _restoration_loss(self, restored: Tensor, clean: Tensor, damaged: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Against the clean clips, and against a teacher's where something was damaged."""
        other = (self.steps + self.steps // 3) % 3  # whatever `lighter_every` is, each tier meets all three
        loss, parts = self.loss(restored, clean, other)
        for teacher in self._teachers:
            with torch.no_grad():
                taught = teacher(damaged)[..., : clean.shape[-1]]
            is_clean = (damaged[..., : clean.shape[-1]] == clean).all(-1, keepdim=True).all(-2, keepdim=True)
            lesson, _ = self.loss(restored, torch.where(is_clean, clean, taught), other)
            loss = loss + self.teacher.weight * lesson
            parts["teacher"] = lesson.detach()
        return loss, parts

    def _teach_critics(self, restored: Tensor, clean: Tensor) -> Tensor:
        """One step of the critics."""
        assert self.critic
        # Lightning's own wrapper would count it as a step of the run.
        optimizer = cast("list[Optimizer]", self.optimizers(use_pl_optimizer=False))[1]
        self.critic.requires_grad_(True)
        loss = critic_loss(self.adversary.kind, self.critic(clean), self.critic(restored))
        optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        if torch.isfinite(clip_grad_norm_(self.critic.parameters(), self.gradient_clip)):
            optimizer.step()
        self.critic.requires_grad_(False)
        return loss.detach()

    def _verdict(self, restored: Tensor, clean: Tensor, parts: dict[str, Tensor]) -> Tensor:
        """Adversarial and feature loss of the restored clips, weighted."""
        assert self.critic
        with torch.no_grad():
            real = self.critic(clean)
        fake = self.critic(restored)
        judged, matched = generator_loss(self.adversary.kind, fake), feature_loss(real, fake)
        parts |= {"adversarial": judged.detach(), "feature": matched.detach()}
        return self.adversary.weight * judged + self.adversary.feature_weight * matched

    def _teach_generator(self, loss: Tensor) -> Tensor:
        """One step of the generator; gradients that aren't finite are left out."""
        optimizers = self.optimizers()
        optimizer = optimizers[0] if isinstance(optimizers, list) else optimizers
        optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        norm = clip_grad_norm_(self.generator.parameters(), self.gradient_clip)
        if torch.isfinite(norm):
            optimizer.step()
            self.averaged.update_parameters(self.generator)
        return norm.detach()

    def _set_learning_rates(self) -> None:
        """From the configuration and the schedule alone, whatever a checkpoint says."""
        optimizers = self.optimizers(use_pl_optimizer=False)
        factor = self.schedule.factor(self.steps, self._done())
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * factor

    def _done(self) -> float:
        """Share of the run that is over, by steps or time."""
        done = self.steps / self.trainer.max_steps if self.trainer.max_steps > 0 else 0.0
        for timer in self.trainer.callbacks:  # type: ignore[attr-defined]  # a connector of Lightning's sets it
            if isinstance(timer, Timer) and (left := timer.time_remaining()) is not None:
                done = max(done, timer.time_elapsed() / (timer.time_elapsed() + max(left, 0.0) + 1e-9))
                # Processes' clocks differ, their learning rates must not.
                done = self.trainer.strategy.broadcast(done) if self.trainer.world_size > 1 else done
        return min(done, 1.0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure the averaged generator's tiers, beside the untouched input.

        Shape:
            batch: (1, 2, samples), damaged and clean
        """
        damaged, clean = batch
        measured: dict[str, float] = {}
        with torch.autocast(self.device.type, enabled=False):
            for tier in range(self.generator.n_tiers):
                restored = self.averaged(damaged, item_seeds(0, 0, [batch_idx]), tier)
                name = "valid" if tier == self.generator.n_tiers - 1 else f"valid_tier_{tier}"
                measured |= self._measured(name, restored, clean)
        measured |= self._measured("valid_input", damaged[..., : restored.shape[-1]], clean)
        self.log_dict(measured, on_epoch=True, batch_size=len(damaged), sync_dist=True)

    def _measured(self, name: str, ours: Tensor, clean: Tensor) -> dict[str, float]:
        """Means over the items."""
        rows = [
            self.quality(one.cpu(), other.cpu()) for one, other in zip(ours, clean[..., : ours.shape[-1]], strict=True)
        ]
        return {f"{name}/{key}": sum(row[key] for row in rows) / len(rows) for key in rows[0]}

    def on_save_checkpoint(self, content: dict[str, Any]) -> None:
        """Add what a run needs beside weights and optimisers, and what a pruned checkpoint is made of."""
        content[checkpoint.RUN] = {
            "head": self.generator.head(),
            "weights_name": self.generator.weights_name,
            "step": self.steps,
            "trained_s": self.trained_s,
        }

    def refuse_other(self, path: Path) -> None:
        """Look into the checkpoint of a run that is to be taken up.

        Raises:
            ValueError: it can't be read, is none of a run, or holds another net or other critics.
        """
        content = checkpoint.load_run(path)
        checkpoint.refuse_other(path, self.generator.head(), content[checkpoint.RUN]["head"])
        found, ours = content["state_dict"], self.state_dict()
        names = [name for name in {**ours, **found} if found.get(name, _NONE).shape != ours.get(name, _NONE).shape]
        if names:
            raise ValueError(f"{path} holds other critics than the configuration: {names[0]} and {len(names) - 1} more")

    def on_load_checkpoint(self, content: dict[str, Any]) -> None:
        """Take up the counts."""
        self.steps, self.trained_s = content[checkpoint.RUN]["step"], content[checkpoint.RUN]["trained_s"]
