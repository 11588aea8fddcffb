"""Settings of the machine make it train fast; they have to be made before anything is computed."""

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
    """Mixed precision where GPU or CPU is made for it (AVX-512 BF16, AMX); what is not made for it only loses."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
