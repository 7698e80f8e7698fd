"""Numbers as people read them; imports nothing, for the pages that draw without plotly."""


def percent(p: float) -> str:
    """A probability as people read it: 12.3 %, 0.04 %."""
    if p == 0:
        return "0 %"
    if p < 0.0001:
        return "< 0.01 %"
    return f"{100 * p:.1f} %" if p >= 0.01 else f"{100 * p:.2f} %"
