function render({ data, parentElement, setTriggerValue }) {
  const line = parentElement.querySelector(".line"), tip = tipOf(parentElement);
  const before = line.getRootNode().activeElement, place = line.contains(before) ? +before.dataset.i : -1;
  line.setAttribute("aria-label", data.name);
  renew(
    line,
    data.pieces.map((piece, i) => {
      const token = numbered(i, `token ${piece.look}`, el("span", "", piece.label));
      if (piece.under) token.append(el("small", "", piece.under));
      token.setAttribute("aria-disabled", !piece.picks);
      token.setAttribute("aria-label", [piece.label, ...piece.note.split("\n")].filter(Boolean).join(", "));
      token.toggleAttribute("data-picks", piece.picks);
      if (piece.colour) token.style.setProperty("--colour", piece.colour);
      return token;
    }),
  );
  const tokens = [...line.children];
  if (place >= 0) tokens[Math.min(place, tokens.length - 1)]?.focus({ preventScroll: true });
  rove(line, [tokens]);

  const end = tellEach(line, tip, (i) => data.pieces[i].note);
  line.onclick = (event) => {
    if (!data.pieces[indexOf(event)]?.picks) return;
    tip.hide();
    setTriggerValue("pick", indexOf(event));
  };
  return end;
}
