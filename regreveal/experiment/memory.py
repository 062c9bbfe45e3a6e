"""How much memory a stage took, where the system tells (Linux)."""

from pathlib import Path

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def forget_peak() -> bool:
    """Let the peak that `peak_memory` tells start from what this process holds now.

    Returns
    -------
    bool
        Whether the system can do that.
    """
    try:
        _RESET.write_text("5")  # see proc(5): resets the peak of what is held
    except OSError:
        return False
    return True


def peak_memory() -> int:
    """Give the most memory that this process has held since `forget_peak`, in MiB.

    What it held before is in it; processes that it has started are not.
    """
    told = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return round(int(told["VmHWM"].split()[0]) / 1024)
