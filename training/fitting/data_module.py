"""Crops for training and validation, as Lightning asks for them."""

from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.data.augmentation import CropSettings
from training.data.dataset import ConsecutiveSampler, Crops, ValidationCrops

_CROPS = CropSettings()


class PairsModule(LightningDataModule):
    """Endless crops of a folder of pairs: crop number n is always the same, and a run taken up again goes on counting.

    Args:
        pairs: folder with `train` and `valid`, made by `prepare`.
        crops: how they are drawn; the batch is that of one process.
        valid_samples: length of a validation crop.
        valid_count: number of validation crops.
        workers: processes that read ahead; 0 reads in the training process.
        seed: of the crops.
        favour: how much more often pairs are drawn whose names begin so. Music that was never coded teaches the highs
            best: what was decoded from Vorbis has holes there.

    Raises:
        ValueError: the batch is below 1.
    """

    def __init__(
        self,
        pairs: Path,
        crops: CropSettings = _CROPS,
        valid_samples: int = 4 * 172 * 256,
        valid_count: int = 24,
        workers: int = 0,
        seed: int = 1,
        favour: dict[str, float] | None = None,
    ) -> None:
        """Keep the settings; `list_pairs` lists the folders."""
        super().__init__()
        if crops.batch < 1:
            raise ValueError(f"crops.batch must be at least 1, got {crops.batch}")
        self.pairs, self.crops, self.seed, self.workers = pairs, crops, seed, workers
        self.valid_samples, self.valid_count, self.favour = valid_samples, valid_count, favour or {}

    def list_pairs(self) -> None:
        """List the folders, before a run writes anything.

        Raises:
            ValueError: there are no pairs.
        """
        self._train = Crops(self.pairs / "train", self.crops, self.seed, favour=self.favour)
        self._valid = _Clips(ValidationCrops(self.pairs / "valid", self.valid_samples, self.valid_count))

    def train_dataloader(self) -> DataLoader[Any]:
        """From the step on that the run has reached."""
        trainer = self.trainer
        assert trainer is not None
        steps = cast("int", trainer.lightning_module.steps)
        sampler = ConsecutiveSampler(self._train, self.crops.batch, trainer.global_rank, trainer.world_size, steps)
        return self._loader(self._train, batch_size=self.crops.batch, sampler=sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """One crop at a time, since they may differ in length."""
        return self._loader(self._valid, batch_size=1)

    def _loader(self, dataset: Dataset[Any], **how: Any) -> DataLoader[Any]:
        return DataLoader(dataset, num_workers=self.workers, pin_memory=self.workers > 0, **how)

    def state_dict(self) -> dict[str, Any]:
        """Marks of the pairs, which tell whether they are the same ones."""
        return {"digest": self._train.digest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compare with what `list_pairs` found."""
        if state_dict["digest"] != self._train.digest:
            rank_zero_warn(f"{self.pairs} holds other pairs than before: the run goes on, but not with the same crops")


class _Clips(Dataset[tuple[Tensor, Tensor]]):
    """Validation crops without their labels."""

    def __init__(self, crops: ValidationCrops) -> None:
        self._crops = crops

    def __len__(self) -> int:
        return len(self._crops)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        crop = self._crops[index]
        return crop.damaged, crop.clean
