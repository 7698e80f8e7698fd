// What goes through `last` + 1 pictures, one after another: a button that plays and pauses, and a range to pull. Where it
// is and whether it plays stands in `state`, which outlives a drawing. `show` draws the picture; `named` is the button's
// name while it rests; `rested` is told where it came to rest, `pulled`, if there is one, each place that it is pulled to.
function playerOf({ play, range }, state, { last, tick, named, show, rested = () => {}, pulled = rested }) {
  let ticking = 0;
  const draw = () => {
    range.max = last;
    range.value = state.at;
    play.textContent = state.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", state.playing ? "Pause" : named);
    show();
  };
  const start = () => {
    clearInterval(ticking);
    ticking = setInterval(() => state.at < last ? (state.at++, draw()) : stop(), tick);
  };
  const stop = () => {
    clearInterval(ticking);
    state.playing = false;
    draw();
    rested();
  };
  const go = (at, then = rested) => {
    clearInterval(ticking);
    state.playing = false;
    state.at = Math.max(0, Math.min(last, at));
    draw();
    then();
  };
  play.onclick = () => {
    if (state.playing) return stop();
    state.playing = true;
    if (state.at === last) state.at = 0;
    draw();
    start();
  };
  range.oninput = () => go(+range.value, pulled);
  state.at = Math.min(state.at, last);
  draw();
  if (state.playing) start();
  return { go, end: () => clearInterval(ticking) };
}
