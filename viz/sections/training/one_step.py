"""On the page Training: one step of training, number by number."""


def show() -> None:
    pass
