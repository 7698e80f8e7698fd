// A component as SVG: each box that is drawn, each text, each picture within it, where the browser has laid them out.

const round = (value) => +value.toFixed(2);

// Draws on what `root` is, within `host`, as on paper: light, whatever scrolls in full, no controls. All in one go:
// the browser shows nothing of it. `draw` gets what canvases were drawn with: a Map from each to its pen.
function asOnPaper(root, host, light, draw, budget) {
  const still = document.createElement("style"), undo = [], variables = lightVariables(light);
  still.textContent = "*, *::before, *::after { transition: none !important; animation: none !important }" +
    " .drawn { --paper: 1 !important }"; // as wide as it stands here
  root.append(still);
  for (const sheet of [...root.styleSheets, ...root.adoptedStyleSheets]) {
    for (const rule of sheet.cssRules) {
      if (rule instanceof CSSMediaRule && rule.media.mediaText === "print") {
        rule.media.mediaText = "all";
        undo.push(() => rule.media.mediaText = "print");
      }
    }
  }
  const pens = new Map();
  for (const canvas of root.querySelectorAll("canvas")) {
    if (getComputedStyle(canvas).imageRendering === "pixelated") continue; // its pixels are its cells
    canvas.getContext = () => {
      if (!pens.has(canvas)) pens.set(canvas, svgPen(canvas, budget));
      return pens.get(canvas);
    };
    undo.push(() => delete canvas.getContext);
  }
  const scrolled = [...root.querySelectorAll("*")].map((each) => [each, each.scrollTop, each.scrollLeft])
    .filter(([, top, left]) => top || left);
  const before = host.getAttribute("style");
  for (const [name, value] of Object.entries(variables)) host.style.setProperty(name, value, "important");
  host.style.setProperty("color-scheme", "light", "important");
  const told = () => document.dispatchEvent(new Event("regard:paper"));
  try {
    told();
    return draw(pens);
  } finally {
    still.remove();
    undo.forEach((each) => each());
    if (before === null) host.removeAttribute("style");
    else host.setAttribute("style", before);
    told();
    for (const [each, top, left] of scrolled) Object.assign(each, { scrollTop: top, scrollLeft: left });
  }
}

// A component's picture: [a group of shapes, its width, its height].
function pictureOfComponent(host, light, budget) {
  const root = host.shadowRoot ?? host;
  return asOnPaper(root, host, light, (pens) => {
    const box = host.getBoundingClientRect(), group = shapeOf("g");
    const walk = { group, pens, budget, left: box.left, top: box.top, width: box.width, height: box.height, clips: 0 };
    for (const child of root.children) drawElement(child, walk, group, null);
    return [group, walk.width, walk.height];
  }, budget);
}

function drawElement(element, walk, into, clip) {
  const style = getComputedStyle(element), tag = element.localName;
  if (style.display === "none" || /^(style|script|input|select|textarea)$/.test(tag) || +style.opacity === 0) return;
  const box = element.getBoundingClientRect(), seen = style.visibility === "visible" && !beyond(box, clip);
  if (+style.opacity < 1) {
    const faint = shapeOf("g", { opacity: style.opacity });
    into.append(faint);
    into = faint;
  }
  if (seen) {
    walk.width = Math.max(walk.width, Math.min(box.right, clip?.right ?? Infinity) - walk.left);
    walk.height = Math.max(walk.height, Math.min(box.bottom, clip?.bottom ?? Infinity) - walk.top);
  }
  if (tag === "svg") {
    if (seen) into.append(drawingOf(element, box, walk));
    return;
  }
  if (tag === "canvas") {
    if (seen) into.append(canvasOf(element, box, style, walk));
    return drawBox(style, box, walk, into, clip, seen);
  }
  drawBox(style, box, walk, into, clip, seen);
  if (tag === "img" && seen) into.append(imageOf(element, box, style, walk));
  if (style.overflowX !== "visible" || style.overflowY !== "visible") clip = within(box, clip);
  const folded = tag === "details" && !element.open;
  for (const child of element.childNodes) {
    if (folded && child.localName !== "summary") continue;
    if (child.nodeType === Node.TEXT_NODE) seen && drawText(child, style, walk, into, clip);
    else if (child.nodeType === Node.ELEMENT_NODE) drawElement(child, walk, into, clip);
  }
}

const beyond = (box, clip) =>
  clip && (box.left >= clip.right || box.right <= clip.left || box.top >= clip.bottom || box.bottom <= clip.top);
const within = ({ left, top, right, bottom }, clip) =>
  clip
    ? {
      left: Math.max(left, clip.left),
      top: Math.max(top, clip.top),
      right: Math.min(right, clip.right),
      bottom: Math.min(bottom, clip.bottom),
    }
    : { left, top, right, bottom };

const rectOf = ({ left, top, right, bottom }, walk) => ({
  x: round(left - walk.left),
  y: round(top - walk.top),
  width: round(Math.max(0, right - left)),
  height: round(Math.max(0, bottom - top)),
});

// background, border, outline
function drawBox(style, box, walk, into, clip, seen) {
  if (!seen || !box.width || !box.height) return;
  const radius = Math.min(parseFloat(style.borderTopLeftRadius) || 0, box.height / 2, box.width / 2);
  const rx = style.borderTopLeftRadius.endsWith("%")
    ? round(Math.min(box.width, box.height) / 2)
    : round(radius) || null;
  const drawn = within(box, clip);
  if (rgbaOf(style.backgroundColor)[3]) {
    into.append(shapeOf("rect", { ...rectOf(drawn, walk), rx, ...paint("fill", style.backgroundColor) }));
  }
  if (style.backgroundImage.startsWith("linear-gradient(")) drawGradient(style, drawn, walk, into, rx);
  const sides = ["Top", "Right", "Bottom", "Left"].map((side) => ({
    wide: style[`border${side}Style`] === "none" ? 0 : parseFloat(style[`border${side}Width`]),
    colour: style[`border${side}Color`],
    line: style[`border${side}Style`],
  }));
  const dashes = (
    { line, wide },
  ) => (line === "dashed" ? `${3 * wide} ${2 * wide}` : line === "dotted" ? `${wide}` : null);
  const ink = (side) => ({
    ...paint("stroke", side.colour),
    "stroke-width": side.wide,
    "stroke-dasharray": dashes(side),
  });
  if (sides.every((side) => side.wide && side.wide === sides[0].wide && side.colour === sides[0].colour)) {
    const half = sides[0].wide / 2;
    const inner = {
      left: drawn.left + half,
      top: drawn.top + half,
      right: drawn.right - half,
      bottom: drawn.bottom - half,
    };
    if (rgbaOf(sides[0].colour)[3]) {
      into.append(shapeOf("rect", { ...rectOf(inner, walk), rx, fill: "none", ...ink(sides[0]) }));
    }
  } else {
    const { x, y, width, height } = rectOf(drawn, walk), [top, right, bottom, left] = sides.map(({ wide }) => wide / 2);
    const ends = [
      [x, y + top, x + width, y + top],
      [x + width - right, y, x + width - right, y + height],
      [x, y + height - bottom, x + width, y + height - bottom],
      [x + left, y, x + left, y + height],
    ];
    sides.forEach((side, i) => {
      if (!side.wide || !rgbaOf(side.colour)[3]) return;
      const [x1, y1, x2, y2] = ends[i].map(round);
      into.append(shapeOf("line", { x1, y1, x2, y2, ...ink(side) }));
    });
  }
  const outline = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
  if (outline && rgbaOf(style.outlineColor)[3]) {
    const half = outline / 2 + parseFloat(style.outlineOffset);
    const outer = {
      left: drawn.left - half,
      top: drawn.top - half,
      right: drawn.right + half,
      bottom: drawn.bottom + half,
    };
    const side = { wide: outline, colour: style.outlineColor, line: style.outlineStyle };
    into.append(shapeOf("rect", { ...rectOf(outer, walk), rx, fill: "none", ...ink(side) }));
  }
}

// From side to side, or from above, in a part of the box if its size says so.
function drawGradient(style, box, walk, into, rx) {
  const parts = style.backgroundImage.slice(16, -1).split(/,(?![^(]*\))/).map((part) => part.trim());
  const across = /^(to right|90deg)$/.test(parts[0]);
  const stops = parts.filter((part) => !/^(to |-?[\d.]+deg)/.test(part)).map((part) => {
    const [, colour, at] = /^(.*?)(?:\s+([\d.]+)%)?$/.exec(part);
    return { colour, at };
  });
  const [wide, tall] = style.backgroundSize.split(" "), { x, y, width, height } = rectOf(box, walk);
  const share = (
    size,
    all,
  ) => (size?.endsWith("%") ? all * parseFloat(size) / 100 : size?.endsWith("px") ? parseFloat(size) : all);
  const place = { x, y, width: round(share(wide, width)), height: round(share(tall ?? "auto", height)), rx };
  if (!place.width || !stops.some(({ colour }) => rgbaOf(colour)[3])) return;
  if (stops.every(({ colour }) => colour === stops[0].colour)) {
    into.append(shapeOf("rect", { ...place, ...paint("fill", stops[0].colour) }));
    return;
  }
  const id = `shade-${walk.clips++}`, ways = across ? { x2: 1, y2: 0 } : { x2: 0, y2: 1 };
  const drawn = stops.map(({ colour, at }, i) =>
    shapeOf("stop", { offset: at ? at / 100 : i / (stops.length - 1), ...paint("stop-color", colour) })
  );
  for (const stop of drawn) {
    const opacity = stop.getAttribute("stop-color-opacity");
    stop.removeAttribute("stop-color-opacity");
    if (opacity) stop.setAttribute("stop-opacity", opacity);
  }
  into.append(
    shapeOf("linearGradient", { id, x1: 0, y1: 0, ...ways }, ...drawn),
    shapeOf("rect", { ...place, fill: `url(#${id})` }),
  );
}

const fontOf = (style) =>
  `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily.replaceAll('"', "'")}`.replace(
    "normal ",
    "",
  );

// The lines of a text, each where it stands.
function drawText(node, style, walk, into, clip) {
  const text = node.data;
  if (!text.trim() || !parseFloat(style.fontSize)) return;
  const range = document.createRange(), lines = [];
  range.selectNodeContents(node);
  if (range.getClientRects().length <= 1) lines.push([0, text.length, range.getBoundingClientRect()]);
  else {
    let at = 0; // a sign may be two units long
    for (const sign of text) {
      range.setStart(node, at);
      range.setEnd(node, at + sign.length);
      const box = range.getBoundingClientRect(), last = lines.at(-1);
      if (box.width && (!last || Math.abs(box.top - last[2].top) > box.height / 2)) {
        lines.push([at, at + sign.length, box]);
      } else if (last) last[1] = at + sign.length;
      at += sign.length;
    }
    lines.forEach((line) => {
      range.setStart(node, line[0]);
      range.setEnd(node, line[1]);
      line[2] = range.getBoundingClientRect();
    });
  }
  const pen = colourPen, font = fontOf(style);
  pen.font = font;
  const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = pen.measureText("x");
  for (const [from, to, box] of lines) {
    if (!box.width || beyond(box, clip)) continue;
    const kept = style.whiteSpaceCollapse?.startsWith("preserve") || style.whiteSpace.startsWith("pre");
    let words = kept ? text.slice(from, to).replace(/\n$/, "") : text.slice(from, to).replace(/\s+/g, " ").trim();
    if (style.textTransform === "uppercase") words = words.toUpperCase();
    const line = shapeOf("text", {
      x: round(box.left - walk.left),
      y: round(box.top - walk.top + (box.height - up - down) / 2 + up),
      style: `font:${font}`,
      "xml:space": "preserve",
      textLength: words.length > 1 ? round(box.width) : null,
      lengthAdjust: words.length > 1 ? "spacingAndGlyphs" : null,
      ...paint("fill", style.color),
    }, words);
    const cut = clip && (box.right > clip.right + 1 || box.left < clip.left - 1 || box.bottom > clip.bottom + 2);
    if (cut) {
      const id = `cut-${walk.clips++}`;
      into.append(shapeOf("clipPath", { id }, shapeOf("rect", rectOf(clip, walk))));
      line.setAttribute("clip-path", `url(#${id})`);
    }
    into.append(line);
  }
}

function canvasOf(canvas, box, style, walk) {
  const pen = walk.pens.get(canvas), { x, y, width, height } = rectOf(box, walk);
  if (!pen?.group.childElementCount) {
    return canvasShape(canvas, x, y, width, height, walk.budget, style.imageRendering !== "pixelated");
  }
  pen.group.setAttribute("transform", `translate(${x} ${y}) scale(${width / canvas.width} ${height / canvas.height})`);
  return pen.group;
}

// A picture of pixels, each of which is a cell.
function imageOf(image, box, style, walk) {
  const cells = document.createElement("canvas"), { x, y, width, height } = rectOf(box, walk);
  Object.assign(cells, { width: image.naturalWidth, height: image.naturalHeight });
  cells.getContext("2d").drawImage(image, 0, 0);
  return canvasShape(cells, x, y, width, height, walk.budget, style.imageRendering !== "pixelated");
}

// What a style says of a shape of SVG, as attributes of it.
const SHAPE_STYLES = [
  "stroke-width",
  "stroke-opacity",
  "stroke-dasharray",
  "stroke-linecap",
  "fill-opacity",
  "opacity",
];
const USUAL = { "stroke-width": "1px", "stroke-opacity": "1", "stroke-dasharray": "none", "stroke-linecap": "butt" };
Object.assign(USUAL, { "fill-opacity": "1", opacity: "1" });

function drawingOf(svg, box, walk) {
  const copy = svg.cloneNode(true), { x, y, width, height } = rectOf(box, walk);
  const from = [svg, ...svg.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
  from.forEach((element, i) => {
    const style = getComputedStyle(element), node = to[i], text = /^(text|tspan)$/.test(element.localName);
    const gone = style.display === "none" &&
      !/^(defs|linearGradient|stop|clipPath|marker|symbol|title|desc)$/.test(element.localName);
    if (gone || /^(style|script)$/.test(element.localName)) return node.remove();
    node.removeAttribute("class");
    node.removeAttribute("style");
    if (element.localName === "stop") node.setAttribute("stop-color", hexOf(rgbaOf(style.stopColor)));
    for (const name of ["fill", "stroke"]) {
      const value = style[name];
      const set = value === "none" || value.startsWith("url(")
        ? { [name]: value.replaceAll('"', "") }
        : paint(name, value);
      const faint = set[`${name}-opacity`] ?? 1, own = +style[`${name}Opacity`];
      if (own < 1 || faint < 1) set[`${name}-opacity`] = +(own * faint).toFixed(3);
      for (const [key, each] of Object.entries(set)) node.setAttribute(key, each);
    }
    for (const name of SHAPE_STYLES.filter((each) => !each.startsWith("fill") && each !== "stroke-opacity")) {
      const value = style.getPropertyValue(name);
      if (value !== USUAL[name]) node.setAttribute(name, value);
    }
    if (style.visibility !== "visible") node.setAttribute("visibility", "hidden");
    if (text) {
      node.setAttribute("style", `font:${fontOf(style)}`);
      if (style.textAnchor !== "start") node.setAttribute("text-anchor", style.textAnchor);
      if (style.dominantBaseline !== "auto") node.setAttribute("dominant-baseline", style.dominantBaseline);
      if (style.whiteSpace.startsWith("pre")) node.setAttribute("xml:space", "preserve");
    }
  });
  for (const [name, value] of Object.entries({ x, y, width, height, overflow: "visible" })) {
    copy.setAttribute(name, value);
  }
  copy.removeAttribute("aria-hidden");
  return copy;
}
