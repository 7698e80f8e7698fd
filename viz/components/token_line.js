export default function ({ data, parentElement, setTriggerValue }) {
  const line = parentElement.querySelector(".line"), tip = tipOf(parentElement);
  const before = line.getRootNode().activeElement, place = line.contains(before) ? +before.dataset.i : -1;
  line.setAttribute("aria-label", data.name);
  renew(
    line,
    data.pieces.map((piece, i) => {
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
    const token = event.target.closest(".token");
    if (token && data.pieces[token.dataset.i].picks) {
      tip.hide();
      setTriggerValue("pick", +token.dataset.i);
    }
  };
  return end;
}
