export default function ({ data, parentElement, setTriggerValue }) {
  const line = parentElement.querySelector(".line"), tip = parentElement.querySelector(".tip");
  const before = line.getRootNode().activeElement, place = line.contains(before) ? +before.dataset.i : -1;
  line.setAttribute("aria-label", data.name);
  renew(line, data.pieces.map((piece, i) => {
    const token = document.createElement("button");
    token.className = `token ${piece.look}`;
    const label = document.createElement("span");
    label.textContent = piece.label;
    token.append(label);
    if (piece.under) {
      const under = document.createElement("small");
      under.textContent = piece.under;
      token.append(under);
    }
    token.dataset.i = i;
    token.tabIndex = i === Math.max(0, Math.min(place, data.pieces.length - 1)) ? 0 : -1;
    token.setAttribute("aria-disabled", !piece.picks);
    token.setAttribute("aria-label", [piece.label, ...piece.note.split("\n")].filter(Boolean).join(", "));
    token.toggleAttribute("data-picks", piece.picks);
    if (piece.colour) token.style.setProperty("--colour", piece.colour);
    return token;
  }));
  const tokens = [...line.children];
  if (place >= 0) tokens[Math.min(place, tokens.length - 1)]?.focus({ preventScroll: true });

  const hide = () => { tip.style.display = "none"; };
  const show = (event) => {
    const token = event.target.closest(".token"), note = token && data.pieces[token.dataset.i].note;
    if (!note) return hide();
    tip.textContent = note;
    tip.style.display = "block";
    const box = token.getBoundingClientRect(), below = box.bottom + 8;
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${below + tip.offsetHeight < innerHeight ? below : box.top - tip.offsetHeight - 8}px`;
  };
  const stop = new AbortController(), listening = { signal: stop.signal };
  line.onmouseover = show;
  line.onmouseleave = line.onscroll = hide;
  line.addEventListener("focusin", show, listening); // as a property, Chromium never calls it
  line.addEventListener("focusout", hide, listening);
  line.onclick = (event) => {
    const token = event.target.closest(".token");
    if (token && data.pieces[token.dataset.i].picks) { hide(); setTriggerValue("pick", +token.dataset.i); }
  };
  line.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = step && tokens[+event.target.dataset.i + step];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
  return () => stop.abort();
}
