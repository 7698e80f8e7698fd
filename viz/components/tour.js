const TAKEN = "regard_tour_taken", GAP = 12; // px between what is pointed at and what is said of it

// storage may be forbidden: then it is remembered as long as the page stays open
function taken(now) {
  if (now) window.regardTourTaken = true;
  try {
    if (now) localStorage.setItem(TAKEN, "yes");
    return localStorage.getItem(TAKEN) !== null;
  } catch {
    return Boolean(window.regardTourTaken);
  }
}

// beside the target where there is room: below it, above it, else at the bottom of the window; never over the sidebar,
// which would lie upon it
function place(box, target) {
  const edge = document.querySelector(".stMain").getBoundingClientRect().left;
  const { width, height } = box.getBoundingClientRect();
  const room = {
    below: innerHeight - target.bottom - GAP,
    above: target.top - GAP,
    right: innerWidth - target.right - GAP,
  };
  const left = Math.max(edge + 8, Math.min(target.left, innerWidth - width - 8));
  const level = Math.max(8, Math.min(target.top, innerHeight - height - 8));
  if (room.right >= width) return [target.right + GAP, level];
  if (target.left - GAP - edge >= width) return [target.left - GAP - width, level];
  if (room.below >= height) return [left, target.bottom + GAP];
  if (room.above >= height) return [left, target.top - GAP - height];
  return [left, innerHeight - height - 8];
}

function answerButtons(answers, choose) {
  return answers.map((text, i) => {
    const button = el("button", "", text);
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => choose(i);
    return button;
  });
}

function render({ data, parentElement }) {
  const [start, box, ring] = [".start", ".stop", ".ring"].map((each) => parentElement.querySelector(each));
  const part = (name) => box.querySelector(name), { stops } = data, state = (box.state ??= { at: -1 });
  const label = () => (start.textContent = taken() ? "Take the tour again" : `Take the tour: ${stops.length} steps`);
  const target = () => document.querySelector(stops[state.at]?.at);
  const put = () => {
    const there = target()?.getBoundingClientRect();
    ring.hidden = !there;
    if (!there) return;
    Object.assign(ring.style, {
      left: `${there.left - 4}px`,
      top: `${there.top - 4}px`,
      width: `${there.width + 8}px`,
      height: `${there.height + 8}px`,
    });
    const [left, top] = place(box, there);
    Object.assign(box.style, { left: `${left}px`, top: `${top}px` });
  };
  const answer = (i) => {
    const stop = stops[state.at], right = i === stop.right;
    part(".told").textContent = `${right ? "Yes." : "Not quite."} ${stop.told}`;
    part(".answers").querySelectorAll("button").forEach((button, each) => {
      button.setAttribute("aria-pressed", each === i);
      button.toggleAttribute("data-right", each === stop.right);
    });
    put();
  };
  const go = (to) => {
    state.at = to;
    const stop = stops[to];
    part("h2").textContent = stop.title;
    part("#tour-text").textContent = stop.text;
    part(".told").textContent = "";
    part(".place").textContent = `${to + 1} of ${stops.length}`;
    part(".answers").replaceChildren(...answerButtons(stop.answers, answer));
    part(".back").disabled = to === 0;
    part(".next").textContent = to === stops.length - 1 ? "Done" : "Next";
    if (stop.answers.length) part(".answers").setAttribute("role", "group");
    else part(".answers").removeAttribute("role"); // an empty group is none
    box.hidden = false;
    target()?.scrollIntoView({ block: "nearest" });
    put();
    box.focus({ preventScroll: true });
  };
  const leave = () => {
    state.at = -1;
    box.hidden = ring.hidden = true;
    label();
    start.focus({ preventScroll: true });
  };
  start.onclick = () => (state.at < 0 ? go(0) : leave());
  part(".leave").onclick = leave;
  part(".back").onclick = () => go(state.at - 1);
  part(".next").onclick = () => {
    if (state.at < stops.length - 1) return go(state.at + 1);
    taken(true);
    leave();
  };
  const stop = new AbortController(), options = { signal: stop.signal, capture: true, passive: true };
  // wherever the focus is: a visitor may try what is pointed at
  addEventListener("keydown", (event) => event.key === "Escape" && state.at >= 0 && leave(), options);
  for (const kind of ["scroll", "resize"]) addEventListener(kind, () => state.at >= 0 && put(), options);
  label();
  if (state.at >= 0) state.at < stops.length ? put() : leave(); // the page was drawn again meanwhile
  return () => stop.abort();
}
