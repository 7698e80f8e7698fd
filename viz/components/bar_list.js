export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector(".rows");
  list.setAttribute("aria-label", data.name);
  renew(
    list,
    data.rows.map((row, i) => {
      const item = document.createElement("div"), bar = document.createElement(row.picks ? "button" : "div");
      item.setAttribute("role", "listitem");
      bar.className = "bar";
      bar.toggleAttribute("data-marked", row.marked);
      const part = (name, text = "") => {
        const span = document.createElement("span");
        span.className = name;
        span.textContent = text;
        bar.append(span);
        return span;
      };
      part("label", row.label);
      const fill = document.createElement("span");
      if (row.colour) fill.style.background = row.colour;
      fill.style.width = `${100 * row.share}%`;
      part("track").append(fill);
      part("number", row.number);
      if (row.note) bar.title = row.note;
      if (row.picks) {
        bar.setAttribute("aria-label", [row.label, row.number, row.note].filter(Boolean).join(", "));
        bar.dataset.i = i;
      }
      item.append(bar);
      return item;
    }),
  );
  rove(list, [[...list.querySelectorAll("button")]], { start: list.querySelector("button[data-marked]") });
  list.onclick = (event) => {
    const bar = event.target.closest("button");
    if (bar) setTriggerValue("pick", +bar.dataset.i);
  };
}
