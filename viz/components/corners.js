// The menu in the corner of each picture. Whoever draws a picture only says what it takes along: a figure of plotly in
// its layout's `meta`, a component as `regardCorner` of its place (base.js). The buttons stand in the page itself, so
// that the keyboard comes to them after the picture; their looks are in viz/frame.css.
const SAID = {
  svg: ["SVG", "true vectors, for slides and papers"],
  png: ["PNG", "twice as large as here"],
  csv: ["CSV", "its numbers, unrounded"],
  copy: ["Copy", "the picture, to paste it"],
};
const CSV_NOTE = "A word that begins with = + - or @ has a ' before it, so that no spreadsheet runs it.";
const WAIT = 60000; // ms for numbers that Python is asked for

const toldOf = (picture) => picture.layout?.meta?.regard ?? picture.regardCorner;
const boxOf = (picture) => picture.closest(".stElementContainer");
function pictures() {
  const found = document.querySelectorAll(".js-plotly-plot, [data-testid=stBidiComponentIsolated]");
  return new Map([...found].filter(toldOf).map((picture) => [boxOf(picture), picture]));
}

async function drawn(picture, light, caption) {
  await document.fonts.ready;
  const budget = { left: MOST_SHAPES, pixels: false }, host = document.querySelector(".st-key-corners [data-drawn]");
  const made = picture.layout
    ? await pictureOfPlotly(picture, host, light, budget)
    : pictureOfComponent(picture, light, budget);
  const told = toldOf(picture);
  return sheetOf(made, { ...told, caption: caption ?? told.caption }, light, budget);
}

function save(blob, name) {
  const url = URL.createObjectURL(blob),
    link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

// What each entry does, and what it says then.
function actionsOf(service) {
  const csv = async (picture) => {
    const told = toldOf(picture);
    const numbers = told.numbers ?? (told.asks ? await service.ask(told) : numbersOfTraces(picture.data ?? []));
    return csvOf(numbers);
  };
  return {
    async svg(picture) {
      const name = `${toldOf(picture).name}.svg`;
      save(new Blob([await drawn(picture, service.light)], { type: "image/svg+xml" }), name);
      return `Saved ${name}`;
    },
    async png(picture) {
      const name = `${toldOf(picture).name}.png`;
      save(await pngOf(await drawn(picture, service.light)), name);
      return `Saved ${name}`;
    },
    async csv(picture) {
      const name = `${toldOf(picture).name}.csv`;
      save(new Blob([await csv(picture)], { type: "text/csv" }), name);
      return `Saved ${name}. ${CSV_NOTE}`;
    },
    async copy(picture) {
      try {
        // a promise within: a browser wants to be asked while it still knows of the click
        const png = drawn(picture, service.light).then(pngOf);
        await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
        return "The picture is copied.";
      } catch {
        await copyText(await csv(picture));
        return "This browser lets no page copy pictures: its numbers are copied instead.";
      }
    },
  };
}

// One menu for all; it stands behind the button that opens it.
function menuOf(actions, signal) {
  const menu = el("div", "regard-corner-menu"), said = el("p", "said");
  said.setAttribute("role", "status");
  menu.popover = "auto";
  menu.setAttribute("role", "menu");
  const entries = Object.entries(SAID).map(([name, [short, long]]) => {
    const entry = el("button", "", el("b", "", short), el("span", "", long));
    entry.type = "button";
    entry.setAttribute("role", "menuitem");
    entry.dataset.does = name;
    return entry;
  });
  menu.append(...entries, said);
  let corner = null;
  const act = async (entry) => {
    said.textContent = "One moment …";
    try {
      said.textContent = await actions[entry.dataset.does](pictures().get(corner.parentElement));
    } catch (error) {
      said.textContent = `That did not work: ${error.message || error}.`;
    }
    place(); // it has grown
  };
  menu.onclick = (event) => {
    const entry = event.target.closest("button");
    if (entry) act(entry);
  };
  menu.onkeydown = (event) => {
    const at = entries.indexOf(document.activeElement), step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const end = { Home: 0, End: entries.length - 1 }[event.key];
    if (event.key === "Escape") menu.hidePopover(); // and nothing else that hears it
    else if (step) entries[(at + step + entries.length) % entries.length].focus();
    else if (end !== undefined) entries[end].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") corner.focus({ preventScroll: true });
  };
  menu.ontoggle = (event) => corner?.setAttribute("aria-expanded", event.newState === "open");
  const place = () => {
    const box = corner.getBoundingClientRect(), { offsetWidth: wide, offsetHeight: tall } = menu;
    menu.style.left = `${Math.max(8, Math.min(box.right - wide, innerWidth - wide - 8))}px`;
    menu.style.top = `${box.bottom + tall + 4 < innerHeight ? box.bottom + 4 : Math.max(8, box.top - tall - 4)}px`;
  };
  const follow = () => menu.matches(":popover-open") && place();
  addEventListener("scroll", follow, { capture: true, signal });
  addEventListener("resize", follow, { signal });
  return {
    menu,
    open(button) {
      if (menu.matches(":popover-open") && corner === button) return menu.hidePopover();
      corner = button;
      said.textContent = "";
      button.after(menu);
      menu.showPopover();
      place();
      entries[0].focus({ preventScroll: true });
    },
  };
}

// Python's answers, and who waits for one; kept from one drawing of this script to the next.
const waiting = new Map();
function answered(answer) {
  if (!answer || !waiting.has(answer.key)) return;
  const { done, fail } = waiting.get(answer.key);
  waiting.delete(answer.key);
  if (answer.numbers) done(answer.numbers);
  else fail(new Error("the picture is not there any more, or has too many numbers: regard export writes them"));
}

const place = { stop: null };
function render({ data, setTriggerValue }) {
  place.stop?.abort();
  answered(data.answer);
  const stop = place.stop = new AbortController(), { signal } = stop;
  const ask = ({ key }) =>
    new Promise((done, fail) => {
      waiting.set(key, { done, fail });
      setTimeout(() => fail(new Error("the server does not answer")), WAIT);
      setTriggerValue("ask", key);
    });
  const actions = actionsOf({ light: data.light, ask }), menu = menuOf(actions, signal);
  const look = () => {
    const now = pictures();
    for (const corner of document.querySelectorAll(".regard-corner")) {
      if (!now.has(corner.parentElement)) corner.remove();
    }
    for (const [box, picture] of now) {
      let corner = box.querySelector(":scope > .regard-corner");
      if (!corner) {
        corner = el("button", "regard-corner", "⤓");
        corner.type = "button";
        corner.setAttribute("aria-haspopup", "menu");
        corner.setAttribute("aria-expanded", "false");
        corner.title = "Save or copy this picture";
        box.append(corner);
      }
      corner.setAttribute("aria-label", `Save or copy: ${toldOf(picture).title}`.slice(0, 200));
      corner.onclick = () => menu.open(corner);
    }
  };
  let soon = 0;
  const later = () => soon ||= setTimeout(() => (soon = 0, look()), 100);
  const observer = new MutationObserver(later);
  observer.observe(document.body, { subtree: true, childList: true });
  document.addEventListener("regard:drawn", later, { signal });
  document.addEventListener("regard:collect", ({ detail }) => collected(data.light, detail).then(detail.done), {
    signal,
  });
  look();
  return () => {
    clearTimeout(soon);
    observer.disconnect();
    stop.abort();
    menu.menu.remove();
  };
}
