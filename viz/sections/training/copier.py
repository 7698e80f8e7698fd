"""On the page Training: a model that learns to copy, and its heads at each checkpoint."""


def show() -> None:
    pass
