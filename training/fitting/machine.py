"""What makes a machine train fast: settings that have to be made before anything is computed."""

import torch


def prepare(threads: int | None) -> None:
    """Set flush-to-zero, which threads started later inherit, and the number of threads.

    Args:
        threads: of the CPU; None leaves PyTorch's own choice.
    """
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("high")
    if threads:
        torch.set_num_threads(threads)


def precision() -> str:
    """Mixed precision where there is a GPU that is made for it; what is not made for it only loses accuracy."""
    has_bfloat16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if has_bfloat16 else "32-true"
