"""From a configuration, and every field of it on the command line, to a run in a folder.

```
RUN/last.ckpt, best.ckpt    everything the run needs to go on
RUN/last.pt, best.pt        the averaged net alone: for the export, or to begin another run with
RUN/logs, RUN/clips         what was measured, what it sounds and looks like
```
"""

import logging
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from training.fitting import torch_settings
from training.fitting.data_module import PairsModule
from training.fitting.fit_callbacks import Lines, Listening, OrderlyEnd, PrunedBeside
from training.fitting.module import RestorationModule

_MONITOR = "valid/band_db"
"""What the best checkpoint is the best in; docs/training.md says why."""

_HARMLESS_WARNINGS = (
    "dataloader is not resumable",  # crops are numbered, and the module counts the steps
    "does not have many workers",  # on a CPU more workers take from the training what they give to it
    "exists and is not empty",  # a run is taken up in its own folder
    "isinstance.treespec, LeafSpec.. is deprecated",  # Lightning's own
)


class FitCli(LightningCLI):
    """Builds a run from a configuration, and goes on with it if its folder has one already.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: list[str]) -> None:
        """Parse and build; nothing is trained yet."""
        self.parser: LightningArgumentParser
        super().__init__(
            RestorationModule,
            PairsModule,
            args=arguments,
            run=False,
            seed_everything_default=1,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"exit_on_error": False},
            trainer_defaults={
                "callbacks": [OrderlyEnd()],
                "check_val_every_n_epoch": None,
                "enable_model_summary": False,
                "enable_progress_bar": False,
                "log_every_n_steps": 1,
                "max_epochs": -1,
                "num_sanity_val_steps": 0,
                "precision": torch_settings.precision(),
                "use_distributed_sampler": False,
                "val_check_interval": "00:00:10:00",
            },
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the arguments that aren't the trainer's, the model's or the data's."""
        parser.add_argument("--run", type=Path | None, default=None, help="Folder; a run that is there is taken up.")
        parser.add_argument("--threads", type=int | None, default=None, help="CPU threads; PyTorch's choice if not.")
        parser.add_argument("--log", type=Literal["csv", "tensorboard"], default="csv", help="Where figures go.")
        parser.add_lightning_class_args(Lines, "lines")
        parser.add_lightning_class_args(Listening, "listening")
        parser.add_lightning_class_args(ModelCheckpoint, "best")
        parser.add_lightning_class_args(ModelCheckpoint, "last")
        parser.add_lightning_class_args(EarlyStopping, "early_stop")
        shared = {"enable_version_counter": False, "auto_insert_metric_name": False}
        own: dict[str, dict[str, Any]] = {
            "best": {"monitor": _MONITOR, "filename": "best", **shared},
            "last": {"filename": "last", **shared},
            "early_stop": {"monitor": _MONITOR, "patience": 1000, "check_on_train_epoch_end": False},
        }
        parser.set_defaults({f"{group}.{name}": value for group, pairs in own.items() for name, value in pairs.items()})
        for group in ("best", "last"):
            parser.link_arguments("run", f"{group}.dirpath")
        parser.link_arguments("run", "trainer.default_root_dir")
        parser.link_arguments("run", "listening.folder", compute_fn=_clips)
        parser.link_arguments("seed_everything", "model.seed")
        parser.link_arguments("seed_everything", "data.seed")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse what was given, and refuse what can't work before anything is built.

        Raises:
            ValueError: the run has no folder or no end, or an option of the trainer's doesn't go with our steps.
        """
        self.config = parser.parse_args(args)
        trainer = self.config.trainer
        if self.config.run is None:
            raise ValueError("--run must name the folder of the run")
        if trainer.max_epochs != -1 or (trainer.max_steps == -1 and trainer.max_time is None):
            raise ValueError("crops have no end: give trainer.max_steps or trainer.max_time, not trainer.max_epochs")
        if str(trainer.precision) not in ("32", "32-true", "bf16-mixed"):
            raise ValueError(f"trainer.precision must be 32-true or bf16-mixed, got {trainer.precision}")
        if trainer.gradient_clip_val is not None or trainer.accumulate_grad_batches != 1:
            raise ValueError("leave out trainer.gradient_clip_val and accumulate_grad_batches: use model.gradient_clip")

    def before_instantiate_classes(self) -> None:
        """Make the machine fast before it computes anything."""
        torch_settings.prepare(self.config.threads)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add the logger, and the file for the export beside each checkpoint."""
        given = self.config_init.trainer
        if given.logger is None:
            kwargs["logger"] = self._logger()
        plugins = given.plugins if isinstance(given.plugins, list) else [given.plugins] if given.plugins else []
        return super().instantiate_trainer(plugins=[*plugins, PrunedBeside()], **kwargs)

    def _logger(self) -> Logger:
        if self.config.log == "tensorboard":
            return TensorBoardLogger(self.config.run, name="logs", version="")
        return CSVLogger(self.config.run, name="logs")

    def fit(self) -> None:
        """Train until the end that the configuration gives.

        Raises:
            ValueError: there are no pairs, what the run's folder holds doesn't fit, or processes would part.
        """
        if self.trainer.world_size > 1 and isinstance(self.config.trainer.val_check_interval, str | timedelta | dict):
            raise ValueError("give trainer.val_check_interval in steps: the clocks of several processes differ")
        self.datamodule.list_pairs()
        last = Path(self.config.run) / "last.ckpt"
        if last.exists():
            self.model.refuse_other(last)
        for harmless in _HARMLESS_WARNINGS:
            warnings.filterwarnings("ignore", message=f".*{harmless}.*")
        self.trainer.fit(self.model, self.datamodule, ckpt_path=str(last) if last.exists() else None, weights_only=True)


def _clips(run: Path | None) -> Path:
    return Path(run or "") / "clips"


def fit(arguments: list[str]) -> None:
    """Train as the command line says.

    Raises:
        ValueError: something in it, or in what it names, is wrong; one line says what.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        FitCli(arguments).fit()
    except (ArgumentError, MisconfigurationException, ValueError, OSError) as error:
        raise ValueError(_one_line(error)) from error


def _one_line(error: Exception) -> str:
    """One line of what the parser says over several, without what it tried in vain."""
    text = " ".join(str(error).split())
    outer, *_, inner = text.split(' Parser key "') if ' Parser key "' in text else (text, "")
    if not inner:
        return text
    key = outer.removeprefix('Parser key "').split('"')[0]
    return f"{key}, {inner.replace(chr(34), '', 1).split(' - Expected')[0]}"
