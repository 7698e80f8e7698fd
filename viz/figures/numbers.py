"""Numbers as people read them; imports nothing, for the pages that draw without plotly."""


def percent(p: float) -> str:
    """A probability as people read it: 12.3 %, 0.04 %; only 0 is called 0 %, and only 1 is called 100.0 %."""
    if p == 0:
        return "0 %"
    if p < 0.0001:
        return "< 0.01 %"
    if 0.9995 <= p < 1:
        return "> 99.9 %"
    return f"{100 * p:.1f} %" if p >= 0.01 else f"{100 * p:.2f} %"


def how_far(difference: float) -> str:
    """How far two numbers are apart: 1.2e-07; 0 only where they are equal."""
    return f"{difference:.1e}" if difference else "0"
