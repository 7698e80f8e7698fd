const PICTURES = [
  '[data-testid="stPlotlyChart"]',
  '[data-testid="stBidiComponentRegular"]',
  '[data-testid="stTable"]',
  '[data-testid="stDataFrame"]',
  ".stHeading",
].join(",");

// where each picture begins, in pixels of what scrolls; what stands side by side is one
function stops(scroller) {
  const top = scroller.getBoundingClientRect().top - scroller.scrollTop;
  const found = [...scroller.querySelectorAll(PICTURES)]
    .map((picture) => picture.getBoundingClientRect())
    .filter((box) => box.height > 20)
    .map((box) => Math.round(box.top - top))
    .sort((a, b) => a - b);
  return found.filter((place, i) => i === 0 || place - found[i - 1] > 24);
}

function render({ setTriggerValue }) {
  const step = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 };
  const turn = (event) => {
    const typing = event.composedPath().some((node) =>
      /^(INPUT|TEXTAREA|SELECT|CANVAS|BUTTON|SVG|svg)$/.test(node.tagName)
    );
    // an open card is closed first
    if (event.key === "Escape") return document.querySelector(".st-key-card") || setTriggerValue("leave", true);
    if (typing || !step[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    const scroller = document.querySelector('[data-testid="stMain"]');
    const margin = document.querySelector(".st-key-pages")?.getBoundingClientRect().bottom ?? 0;
    const now = scroller.scrollTop + margin;
    const places = stops(scroller);
    const next = step[event.key] > 0
      ? places.find((place) => place > now + 24)
      : places.findLast((place) => place < now - 24);
    if (next === undefined) return;
    event.preventDefault();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scroller.scrollTo({ top: next - margin - 8, behavior: calm ? "auto" : "smooth" });
  };
  addEventListener("keydown", turn, true);
  return () => removeEventListener("keydown", turn, true);
}
