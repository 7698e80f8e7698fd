function render({ data, parentElement }) {
  const root = parentElement.querySelector(".words"), list = root.querySelector("ul");
  renew(
    list,
    data.words.map(({ name, meaning }, i) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.dataset.i = i;
      button.setAttribute("aria-label", `${name}: ${meaning}`);
      item.append(button);
      return item;
    }),
  );
  rove(list, [[...list.querySelectorAll("button")]]);
  const tip = tipOf(root), end = tellEach(list, tip, (i) => data.words[i].meaning);
  root.onkeydown = (event) => {
    if (event.key === "Escape") tip.hide(); // no value: false would keep Tab from leading on
  };
  return end;
}
