"""Numbers as people read them; imports nothing large, for the pages that draw without plotly."""

import math


def percent(p: float) -> str:
    """A probability as people read it: 12.3 %, 0.04 %; only 0 is called 0 %, and only 1 is called 100.0 %."""
    if p == 0:
        return "0 %"
    if p < 0.0001:
        return "< 0.01 %"
    if 0.9995 <= p < 1:
        return "> 99.9 %"
    return f"{100 * p:.1f} %" if p >= 0.01 else f"{100 * p:.2f} %"


def whole_percent(share: float) -> str:
    """A share without decimals, 71 %, but where that would call a part all or nothing: 0.2 %, more than 99.9 %."""
    value = 100 * share
    whole = math.floor(value + 0.5)
    if value in (0, 100) or 0 < whole < 100:
        return f"{whole} %"
    if value < 0.1:
        return "less than 0.1 %"
    return "more than 99.9 %" if value > 99.9 else f"{value:.1f} %"


def in_short(n: int) -> str:
    """A count of parameters: 4.3 M, 11 k."""
    return f"{n / 1e6:.1f} M" if n >= 10**6 else f"{n / 1e3:.0f} k" if n >= 10**4 else f"{n:,}"


def how_far(difference: float) -> str:
    """How far two numbers are apart: 1.2e-07; 0 only where they are equal."""
    return f"{difference:.1e}" if difference else "0"


def decimals(largest: float) -> int:
    """How many decimals, 3 to 6, show three digits of the largest number of a column, no 0: of 0.0045 it is 5.

    What 6 do not show is what single precision leaves of weights that are the same.
    """
    return min(6, max(3, 2 - math.floor(math.log10(abs(largest)))))


def digits_and_power(value: float, n_decimal: int = 2) -> tuple[str, int]:
    """Digits, and the power of ten that they are multiplied by: ("3.52", 14)."""
    digits, power = f"{value:.{n_decimal}e}".split("e")
    return digits, int(power)


def in_full(value: float) -> str:
    """To six digits, or four where it is very small or very large: 0.25, -1.234e-07; no negative 0."""
    value += 0.0
    return f"{value:.6g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"
