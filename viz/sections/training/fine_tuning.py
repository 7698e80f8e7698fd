"""On the page Training: a model that can write reads a few lines more."""


def show() -> None:
    pass
