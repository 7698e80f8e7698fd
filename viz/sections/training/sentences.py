"""On the page Training: a model learns a few lines by heart."""


def show() -> None:
    pass
