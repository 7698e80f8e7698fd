function render({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector(".rows");
  list.setAttribute("aria-label", data.name);
  renew(
    list,
    data.rows.map((row, i) => {
      const fill = el("span");
      if (row.colour) fill.style.background = row.colour;
      fill.style.width = `${100 * row.share}%`;
      const parts = [el("span", "label", row.label), el("span", "track", fill), el("span", "number", row.number)];
      const bar = row.picks ? numbered(i, "bar", ...parts) : el("div", "bar", ...parts);
      bar.toggleAttribute("data-marked", row.marked);
      if (row.note) bar.title = row.note;
      if (row.picks) bar.setAttribute("aria-label", [row.label, row.number, row.note].filter(Boolean).join(", "));
      const item = el("div", "", bar);
      item.setAttribute("role", "listitem");
      return item;
    }),
  );
  rove(list, [[...list.querySelectorAll("button")]], { start: list.querySelector("button[data-marked]") });
  list.onclick = (event) => {
    if (indexOf(event) != null) setTriggerValue("pick", indexOf(event));
  };
}
