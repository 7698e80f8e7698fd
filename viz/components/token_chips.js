const listOf = (host, name) => getComputedStyle(host).getPropertyValue(name).split(",").map((c) => c.trim()).filter(Boolean);

function describe(chip, position) {
  const [start, end] = chip.span;
  const lines = [`“${chip.label}”  token ${position}`, `id ${chip.id}`, `bytes ${chip.bytes}`];
  if (end > start) lines.push(`characters ${start}–${end} of the text`);
  if (chip.note) lines.push(chip.note);
  return lines.join("\n");
}

export default function ({ data, parentElement, setTriggerValue }) {
  const row = parentElement.querySelector(".chips");
  row.toggleAttribute("data-clickable", data.clickable);

  let tip = parentElement.querySelector(".tip");
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("role", "status");
    parentElement.append(tip);
  }
  const hide = () => { tip.style.display = "none"; };
  const show = (button) => {
    const i = +button.dataset.i;
    tip.textContent = describe(data.chips[i], data.first + i);
    tip.style.display = "block";
    const box = button.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
    const below = box.bottom + 8;
    tip.style.top = `${below + tip.offsetHeight < innerHeight ? below : box.top - tip.offsetHeight - 8}px`;
  };

  renew(row, data.chips.map((chip, i) => {
    const button = document.createElement("button");
    button.className = "chip";
    button.textContent = chip.label;
    button.dataset.i = i;
    button.setAttribute("role", "listitem");
    button.setAttribute("aria-label", describe(chip, data.first + i).replaceAll("\n", ", "));
    if (data.clickable) button.setAttribute("aria-pressed", i === data.selected);
    button.style.setProperty("--tint", chip.shade == null
      ? `var(--turn-${i % 5})`
      : `var(--shade-${Math.round(Math.max(0, Math.min(1, chip.shade)) * 9)})`);
    return button;
  }));

  // the theme's colours as CSS variables, read again when the theme changes
  const host = parentElement.host || parentElement;
  const colour = () => {
    listOf(host, "--st-chart-categorical-colors").slice(0, 5).forEach((c, i) => row.style.setProperty(`--turn-${i}`, c));
    listOf(host, "--st-chart-sequential-colors").forEach((c, i) => row.style.setProperty(`--shade-${i}`, c));
  };
  colour();
  const timer = setInterval(colour, 500);

  const chipOf = (event) => event.target.closest(".chip");
  const shown = (event) => { const chip = chipOf(event); if (chip) show(chip); };
  const stop = new AbortController(), listening = { signal: stop.signal };
  row.onmouseover = shown;
  row.onmouseleave = row.onscroll = hide;
  row.addEventListener("focusin", shown, listening);  // as a property, Chromium never calls it
  row.addEventListener("focusout", hide, listening);
  row.onclick = (event) => {
    const chip = chipOf(event);
    if (chip && data.clickable) { hide(); setTriggerValue("pick", +chip.dataset.i); }
  };
  return () => { clearInterval(timer); stop.abort(); };
}
