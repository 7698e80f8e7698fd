"""On the page Training: what pre-training took."""


def show() -> None:
    pass
