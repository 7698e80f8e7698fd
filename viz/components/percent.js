// as viz/figures/numbers.py says a probability
function percent(p) {
  if (p === 0) return "0 %";
  if (p < 0.0001) return "< 0.01 %";
  if (p >= 0.9995 && p < 1) return "> 99.9 %";
  return p >= 0.01 ? `${(100 * p).toFixed(1)} %` : `${(100 * p).toFixed(2)} %`;
}
