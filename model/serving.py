"""How the process that serves visitors is set up: the one place for threads, OpenMP and garbage.

Grad mode is the exception: it is kept per thread and every rerun is a new thread, so each forward carries its own
``@torch.inference_mode()``.
"""

import gc
import os


def load_torch() -> None:
    """Import torch with one thread; takes a second or two the first time.

    Many visitors share the cores: with more threads, torch's and numpy's products collapse on a busy machine.
    ``set_num_threads`` reaches the calling thread only; later ones take OpenMP's default, which is read at import.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")  # numpy's


def settle() -> None:
    """After imports and a model: what is there now stays, so keep it out of later collections.

    A model that went since the last time, and sessions that ended, are garbage by now: they are looked through again.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
