const HEIGHT = 170, LEFT = 40, RIGHT = 12, TOP = 12, BOTTOM = 34, PACE = 200; // px, and milliseconds a checkpoint

function svg(kind, attributes, ...content) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...content);
  return node;
}

const nats = (loss) => (loss < 0.005 ? "0.00" : loss.toFixed(loss < 10 ? 2 : 0));
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function tokensOf(course, losses) {
  let n = 0;
  return course.rows.map((row) => {
    const items = row.map((label, i) => {
      const item = el("li", i ? "token" : "token given", el("span", "", label));
      if (!i) return item;
      const loss = losses[n++];
      item.append(el("small", "", nats(loss)));
      item.style.setProperty("--shade", `var(--shade-${Math.round(9 * Math.exp(-loss))})`);
      return item;
    });
    const list = el("ul", "tokens", ...items);
    list.setAttribute("aria-label", `${course.name}: each token, and its loss in nats`);
    return list;
  });
}

function writtenLine(line, at) {
  const written = line.written[at].map((label, i) => el(label === line.right[i] ? "span" : "s", "word", label));
  return el("li", "", ...line.given.map((label) => el("b", "word", label)), el("span", "arrow", "→"), ...written);
}

function textsOf(course, i, apart) {
  const lines = el("ul", apart ? "lines apart" : "lines", ...course.lines.map((line) => writtenLine(line, i)));
  lines.setAttribute("aria-label", `${course.name}: what is written behind the first word of each line`);
  return el(
    "section",
    "",
    el("p", "called", course.name),
    ...tokensOf(course, course.losses[i]),
    el("p", "", "Written on from the first word:"),
    lines,
  );
}

function namesOf(courses) {
  return courses.map((course, n) => {
    const name = el("span", "name", courses.length > 1 ? `loss, ${course.name}` : "loss, the mean of all tokens");
    name.style.setProperty("--turn", `var(--turn-${n})`);
    return name;
  });
}

// The curves, as wide as there is room, and a line at the checkpoint that is shown, which moves alone.
function curvesOf(node, { steps, until, marks }, curves) {
  const highest = Math.max(...curves.flat(), ...marks.map(([, loss]) => loss)) * 1.05 || 1;
  let width = 0;
  const x = (step) => LEFT + (width - LEFT - RIGHT) * step / (until || 1);
  const y = (loss) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - loss / highest);
  const across = (kind, loss) => svg("line", { class: kind, x1: LEFT, x2: width - RIGHT, y1: y(loss), y2: y(loss) });
  const draw = (at) => {
    width = Math.max(node.clientWidth, 120);
    const ticks = [...new Set([0, 1, 2, 3, 4].map((i) => Math.round(i * until / 4)))];
    const unit = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].find((each) => highest / each <= 5) ?? 100;
    const levels = Array.from({ length: Math.floor(highest / unit) + 1 }, (_, i) => i * unit);
    node.replaceChildren(
      ...levels.flatMap((loss) => [
        across("grid", loss),
        svg("text", { x: LEFT - 6, y: y(loss) + 4, "text-anchor": "end" }, `${+loss.toFixed(1)}`),
      ]),
      ...ticks.map((step) => {
        const anchor = step && step === until ? "end" : "middle";
        return svg("text", { x: x(step), y: HEIGHT - BOTTOM + 16, "text-anchor": anchor }, step.toLocaleString("en"));
      }),
      svg("text", { x: (LEFT + width) / 2, y: HEIGHT - 2, "text-anchor": "middle" }, "steps"),
      ...marks.flatMap(([name, loss]) => [
        across("mark", loss),
        svg("text", { x: width - RIGHT - 6, y: y(loss) - 4, "text-anchor": "end" }, name),
      ]),
      ...curves.map((each, n) =>
        svg("polyline", {
          class: "line",
          style: `stroke: var(--turn-${n})`,
          points: each.map((loss, i) => `${x(steps[i])},${y(Math.min(loss, highest))}`).join(" "),
        })
      ),
      svg("line", { class: "now", y1: TOP - 6, y2: HEIGHT - BOTTOM, transform: `translate(${x(steps[at])} 0)` }),
    );
  };
  return {
    draw,
    fits: () => node.clientWidth === width,
    at: (i) => node.querySelector(".now")?.setAttribute("transform", `translate(${x(steps[i])} 0)`),
    nearest(px) {
      const step = (px - LEFT) / (width - LEFT - RIGHT) * until, away = steps.map((each) => Math.abs(each - step));
      return away.indexOf(Math.min(...away));
    },
  };
}

// The theme's colours as CSS variables of their own, one by one.
function colour(root, host) {
  const listed = (kind) => variable(host, `--st-chart-${kind}-colors`).split(",").map((c) => c.trim());
  listed("categorical").slice(0, 5).forEach((c, i) => root.style.setProperty(`--turn-${i}`, c));
  listed("sequential").forEach((c, i) => root.style.setProperty(`--shade-${i}`, c));
}

function render({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".learning"), host = parentElement.host || parentElement;
  const [range, play, said] = ["input", ".play", "output"].map((each) => root.querySelector(each));
  const node = root.querySelector(".curve"), last = data.steps.length - 1;
  const means = data.courses.map((course) => course.losses.map(mean)), curves = curvesOf(node, data, means);
  const state = root.state ??= { at: 0, pulled: false, playing: false };
  // who pulls or plays keeps their place when more is learned
  if (!state.pulled && !state.playing) state.at = data.at ?? last;
  range.disabled = play.disabled = last < 1;

  const show = () => {
    const losses = means.map((each, n) =>
      (data.courses.length > 1 ? `${data.courses[n].name}: ` : "") + `loss ${nats(each[state.at])}`
    );
    const step = `Step ${data.steps[state.at].toLocaleString("en")} of ${data.until.toLocaleString("en")}`;
    said.value = [step, ...losses].join(" · ");
    range.setAttribute("aria-valuetext", said.value);
    curves.at(state.at);
    renew(root.querySelector(".texts"), data.courses.map((course) => textsOf(course, state.at, data.apart)));
  };
  const tell = () => {
    state.pulled = false;
    if (state.at !== (data.at ?? last)) setTriggerValue("pick", state.at);
  };
  renew(root.querySelector(".names"), namesOf(data.courses));
  colour(root, host);
  const player = playerOf({ play, range }, state, {
    last,
    tick: PACE,
    named: "Play the learning",
    show,
    rested: tell,
    pulled: () => state.pulled = true,
  });
  curves.draw(state.at);
  range.onchange = tell;
  node.onclick = (event) => player.go(curves.nearest(event.clientX - node.getBoundingClientRect().left));

  const unwatch = watchVariable(host, "--st-chart-categorical-colors", () => colour(root, host));
  const resized = new ResizeObserver(() => curves.fits() || curves.draw(state.at));
  resized.observe(node);
  return () => {
    player.end();
    unwatch();
    resized.disconnect();
  };
}
