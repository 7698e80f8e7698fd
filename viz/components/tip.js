// The few words beside the pointer, or below what is pointed at.
function tipOf(root) {
  const tip = root.querySelector(".tip");
  const put = (text, left, below, above) => {
    tip.textContent = text;
    tip.hidden = false;
    tip.style.left = `${Math.max(8, Math.min(left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${below + tip.offsetHeight < innerHeight ? below : above - tip.offsetHeight}px`;
  };
  return {
    hide() {
      tip.hidden = true;
    },
    show: (text, x, y) => put(text, x + 14, y + 18, y - 10),
    showAt: (text, box) => put(text, box.left, box.bottom + 8, box.top - 8),
  };
}

// A row of buttons, each with its tip on hover and focus: `tell(i)` says it, or nothing. Returns what ends that.
function tellEach(row, tip, tell) {
  const stop = new AbortController(), listening = { signal: stop.signal };
  const show = (event) => {
    const button = event.target.closest("button"), text = button && tell(+button.dataset.i);
    if (text) tip.showAt(text, button.getBoundingClientRect());
    else tip.hide();
  };
  row.onmouseover = show;
  row.onmouseleave = row.onscroll = tip.hide;
  row.addEventListener("focusin", show, listening); // as a property, Chromium never calls it
  row.addEventListener("focusout", tip.hide, listening);
  return () => stop.abort();
}
