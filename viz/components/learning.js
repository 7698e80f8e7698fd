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

function render({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".learning"), host = parentElement.host || parentElement;
  const [slider, play, said] = ["input", ".play", "output"].map((each) => root.querySelector(each));
  const curve = root.querySelector(".curve"), last = data.steps.length - 1;
  const curves = data.courses.map((course) => course.losses.map(mean));
  const state = root.state ??= { held: false, at: 0 };
  // who holds the slider, or plays, keeps their place when more is learned
  let at = state.held ? Math.min(state.at, last) : Math.min(data.at ?? last, last), timer = null;
  slider.max = last;
  slider.disabled = play.disabled = last < 1;

  const show = (i) => {
    at = state.at = i;
    slider.value = i;
    const losses = curves.map((each, n) =>
      (data.courses.length > 1 ? `${data.courses[n].name}: ` : "") + `loss ${nats(each[i])}`
    );
    said.value = `Step ${data.steps[i].toLocaleString("en")} of ${data.until.toLocaleString("en")} · ${
      losses.join(" · ")
    }`;
    slider.setAttribute("aria-valuetext", said.value);
    curve.querySelector(".now")?.setAttribute("transform", `translate(${x(data.steps[i])} 0)`);
    renew(
      root.querySelector(".texts"),
      data.courses.map((course) => {
        const lines = el(
          "ul",
          data.apart ? "lines apart" : "lines",
          ...course.lines.map((line) => writtenLine(line, i)),
        );
        lines.setAttribute("aria-label", `${course.name}: what is written behind the first word of each line`);
        return el(
          "section",
          "",
          el("p", "called", course.name),
          ...tokensOf(course, course.losses[i]),
          el("p", "", "Written on from the first word:"),
          lines,
        );
      }),
    );
  };
  const tell = () => {
    state.held = false;
    if (at !== (data.at ?? last)) setTriggerValue("pick", at);
  };

  // the curve, as wide as there is room
  const highest = Math.max(...curves.flat(), ...data.marks.map(([, loss]) => loss)) * 1.05 || 1;
  let width = 0;
  const x = (step) => LEFT + (width - LEFT - RIGHT) * step / (data.until || 1);
  const y = (loss) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - loss / highest);
  const draw = () => {
    width = Math.max(curve.clientWidth, 120);
    const ticks = [0, 1, 2, 3, 4].map((i) => Math.round(i * data.until / 4)).filter((s, i, all) =>
      all.indexOf(s) === i
    );
    const unit = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].find((each) => highest / each <= 5) ?? 100;
    const levels = Array.from({ length: Math.floor(highest / unit) + 1 }, (_, i) => i * unit);
    curve.replaceChildren(
      ...levels.flatMap((loss) => [
        svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(loss), y2: y(loss) }),
        svg("text", { x: LEFT - 6, y: y(loss) + 4, "text-anchor": "end" }, `${+loss.toFixed(1)}`),
      ]),
      ...ticks.map((step) =>
        svg(
          "text",
          { x: x(step), y: HEIGHT - BOTTOM + 16, "text-anchor": step && step === data.until ? "end" : "middle" },
          step.toLocaleString("en"),
        )
      ),
      svg("text", { x: (LEFT + width) / 2, y: HEIGHT - 2, "text-anchor": "middle" }, "steps"),
      ...data.marks.flatMap(([name, loss]) => [
        svg("line", { class: "mark", x1: LEFT, x2: width - RIGHT, y1: y(loss), y2: y(loss) }),
        svg("text", { x: width - RIGHT - 6, y: y(loss) - 4, "text-anchor": "end" }, name),
      ]),
      ...curves.map((each, n) =>
        svg("polyline", {
          class: "line",
          style: `stroke: var(--turn-${n})`,
          points: each.map((loss, i) => `${x(data.steps[i])},${y(Math.min(loss, highest))}`).join(" "),
        })
      ),
      svg("line", { class: "now", y1: TOP - 6, y2: HEIGHT - BOTTOM, transform: `translate(${x(data.steps[at])} 0)` }),
    );
  };
  renew(
    root.querySelector(".names"),
    data.courses.map((course, n) => {
      const name = el(
        "span",
        "name",
        data.courses.length > 1 ? `loss, ${course.name}` : "loss, the mean of all tokens",
      );
      name.style.setProperty("--turn", `var(--turn-${n})`);
      return name;
    }),
  );

  const ended = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
  };
  ended();
  play.onclick = () => {
    if (timer) {
      ended();
      return tell();
    }
    state.held = true;
    play.textContent = "❚❚ Pause";
    if (at === last) show(0);
    timer = setInterval(() => {
      show(at + 1);
      if (at === last) {
        ended();
        tell();
      }
    }, PACE);
  };
  slider.oninput = () => {
    ended();
    state.held = true;
    show(+slider.value);
  };
  slider.onchange = tell;
  curve.onclick = (event) => {
    const step = (event.clientX - curve.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT) *
      data.until;
    const away = data.steps.map((each) => Math.abs(each - step));
    ended();
    show(away.indexOf(Math.min(...away)));
    tell();
  };

  // the theme's colours as CSS variables of their own, one by one
  const colour = () => {
    const listed = (kind) => variable(host, `--st-chart-${kind}-colors`).split(",").map((c) => c.trim());
    listed("categorical").slice(0, 5).forEach((c, i) => root.style.setProperty(`--turn-${i}`, c));
    listed("sequential").forEach((c, i) => root.style.setProperty(`--shade-${i}`, c));
  };
  colour();
  const unwatch = watchVariable(host, "--st-chart-categorical-colors", colour);
  draw();
  show(at);
  const resized = new ResizeObserver(() => {
    if (curve.clientWidth !== width) draw();
  });
  resized.observe(curve);
  return () => {
    clearInterval(timer);
    if (timer) state.held = false;
    unwatch();
    resized.disconnect();
  };
}
