// Many buttons, one stop of the tabulator key: the arrow keys, Home and End go on from there. `lists` of buttons are walked
// by the arrows `along` them ("down", "across", or "both"); the other two arrows go from list to list. The stop is the
// button that has the focus, else `start`, else the first.
function rove(root, lists, { along = "both", start = null } = {}) {
  const all = lists.flat(), held = root.getRootNode().activeElement;
  const stopAt = (button) => {
    for (const each of all) each.tabIndex = each === button ? 0 : -1;
  };
  stopAt(all.includes(held) ? held : start ?? all[0]);
  if (!root.roves) root.addEventListener("focusin", (event) => root.roves(event.target)); // once; there is no onfocusin
  root.roves = (button) => {
    if (all.includes(button)) stopAt(button);
  };
  root.onkeydown = (event) => {
    const list = lists.find((each) => each.includes(event.target)), place = list?.indexOf(event.target);
    const arrow = {
      ArrowDown: ["down", 1],
      ArrowUp: ["down", -1],
      ArrowRight: ["across", 1],
      ArrowLeft: ["across", -1],
    }[event.key];
    if (!list || event.altKey || event.ctrlKey || event.metaKey) return;
    let next;
    if (event.key === "Home") next = list[0];
    else if (event.key === "End") next = list.at(-1);
    else if (!arrow) return;
    else if (along === "both" || along === arrow[0]) next = list[place + arrow[1]];
    else {
      const beside = lists[lists.indexOf(list) + arrow[1]] ?? [];
      next = beside[Math.min(place, beside.length - 1)];
    }
    event.preventDefault(); // nor does the page scroll at the end of a list
    if (!next) return;
    next.focus();
  };
}
