"""On the page Training: a copier that trains while one looks on."""

from model.lab.copier import Run


def show(shipped: Run) -> None:
    pass
