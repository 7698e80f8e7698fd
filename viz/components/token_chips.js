function describe(chip, position) {
  const [start, end] = chip.span;
  if (chip.id < 0) return ["the sink, which is no token", chip.note].filter(Boolean).join("\n");
  const lines = [`“${chip.label}”  token ${position}`, `id ${chip.id}`, `bytes ${chip.bytes}`];
  if (end > start) lines.push(`characters ${start}–${end} of the text`);
  if (chip.note) lines.push(chip.note);
  return lines.join("\n");
}

function render({ data, parentElement, setTriggerValue }) {
  const row = parentElement.querySelector(".chips"), tip = tipOf(parentElement);
  row.toggleAttribute("data-clickable", data.clickable);
  renew(
    row,
    data.chips.map((chip, i) => {
      const button = numbered(i, "chip", chip.label);
      button.setAttribute("aria-label", describe(chip, data.first + i).replaceAll("\n", ", "));
      if (data.clickable) button.setAttribute("aria-pressed", i === data.selected);
      button.style.setProperty(
        "--tint",
        chip.shade == null
          ? `var(--turn-${i % 5})`
          : `var(--shade-${Math.round(Math.max(0, Math.min(1, chip.shade)) * 9)})`,
      );
      return el("li", "", button);
    }),
  );
  const buttons = [...row.querySelectorAll("button")];
  rove(row, [buttons], { start: buttons[data.selected] });

  // the theme's colours as CSS variables of their own, one by one
  const host = parentElement.host || parentElement;
  const colour = () => {
    const listed = (kind) =>
      variable(host, `--st-chart-${kind}-colors`).split(",").map((c) => c.trim()).filter(Boolean);
    listed("categorical").slice(0, 5).forEach((c, i) => row.style.setProperty(`--turn-${i}`, c));
    listed("sequential").forEach((c, i) => row.style.setProperty(`--shade-${i}`, c));
  };
  colour();
  const unwatch = watchVariable(host, "--st-chart-categorical-colors", colour);
  const end = tellEach(row, tip, (i) => describe(data.chips[i], data.first + i));
  row.onclick = (event) => {
    if (indexOf(event) == null || !data.clickable) return;
    tip.hide();
    setTriggerValue("pick", indexOf(event));
  };
  return () => {
    unwatch();
    end();
  };
}
